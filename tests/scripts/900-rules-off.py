"""Each rule of the scripts switched off: the case that is about it must fail.

A rule is taken out of a copy of the scripts; the text to change must be there exactly once, so that a script that is
rewritten fails here loudly instead of testing nothing."""

import os
import shutil
import subprocess
import sys
import tempfile

import tap
from redis_scripts import SCRIPTS

OVER_A_LIVE_ENTRY = "if state == NONE then\n  store(entry, now_v,"
OF_THE_EPOCH = "if string.sub(head, $L2_RECORD_AT_EPOCH + 1, $L2_RECORD_AT_EPOCH + 8) ~= ARGV[1] then return NONE, '' end"
OF_THE_SESSION = "if inc[2] ~= ARGV[3] then"
ABOVE_THE_GRANT = "if killed_since(names, since, false) or killed_since(names, since, true) then reason = 'name' end"

RULES = [
    # rule, script, what it says, what it says without the rule, who must notice: file and case
    ("F4 a fill of nothing takes no position", "fill.lua", "  store(entry, now_v, now, ARGV[6], ARGV[7], tail)\n  give_back()\n  return {'OK', now_v, now, 0}",
     "  redis.call('INCR', KEYS[2])\n  store(entry, now_v + 1, now, ARGV[6], ARGV[7], tail)\n  give_back()\n  return {'OK', now_v + 1, now, 0}",
     "001-positions", "a_fill_of_an_absent_key_takes_no_position_and_leaves_no_record"),
    ("F4 a fill over a live entry has a record", "fill.lua", OVER_A_LIVE_ENTRY, "if true then\n  store(entry, now_v,",
     "001-positions", "a_fill_over_a_live_entry_takes_a_position"),
    ("F5 an entry of another epoch is absent", "parts/alive.lua", OF_THE_EPOCH, "", "002-epochs", "a_restart_with_all_data_brings_no_killed_entry_back"),
    ("F6 a token of another epoch is refused", "fill.lua", "if string.sub(proof, 9, 16) ~= ARGV[1] then", "if false then",
     "002-epochs", "a_token_of_before_a_restore_is_refused"),
    ("F7 a dead session changes nothing", "parts/check.lua", OF_THE_SESSION, "if false then",
     "003-sessions", "bytes_held_back_by_the_network_change_nothing"),
    ("F15 what is killed by name is dead to all", "parts/alive.lua", "if v < hard_v and killed_since(names, v, false) then return NONE, '' end", "",
     "007-life", "what_is_dead_is_dead_to_every_script"),
    ("F15 a set takes the lease away", "set.lua", "redis.call('DEL', lease)", "", "006-fills", "whatever_happens_to_the_key_voids_the_lease"),
    ("F15 what is stored again lives no longer", "set.lua", "if as_fresh or as_stale then", "if false then",
     "007-life", "what_is_stored_again_lives_no_longer"),
    ("F16 the counter comes after the record", "parts/journal.lua", "  redis.call('XADD'", "  redis.call('SET', KEYS[2], string.format('%.0f', v))\n  redis.call('XADD'",
     "004-foreign", "a_foreign_value_at_any_of_our_keys_fails_a_mutation_with_nothing_done"),
    ("I5 a fill without its lease is refused", "fill.lua", "if not lease or is_rest(proof) or string.sub(lease, 1, 24) ~= proof then return refuse('lease') end", "",
     "006-fills", "a_lease_is_used_once"),
    ("I5 a lease given beside the fleet's replaces nothing fresh", "fill.lua", "if beside and state == FRESH then reason = reason or 'lease' end", "",
     "006-fills", "a_fill_beside_the_leases_of_the_fleet_replaces_nothing_fresh"),
    ("I5 a kill of a name since the grant refuses", "fill.lua", ABOVE_THE_GRANT, "",
     "006-fills", "a_kill_of_a_name_of_the_new_record_refuses_and_ends_the_lease"),
    ("F15 what a glob hits is dead to all", "parts/alive.lua", "return banned_since(names.key, v, softly)", "return false",
     "008-globs", "what_it_hit_is_dead_to_every_script"),
    ("I5 a glob since the grant refuses", "parts/alive.lua", "return banned_since(names.key, v, softly)", "return false",
     "008-globs", "a_fill_that_was_read_before_it_is_refused"),
    ("F17 a glob too many raises the floor", "invalidate.lua", "'floor', string.format('%.0f', floor))", "'floor', inc[3] or 0)",
     "008-globs", "one_too_many_takes_what_is_older_than_the_oldest"),
]


def without(home, script, old, new):
    """A copy of the scripts with the rule taken out."""
    scripts = os.path.join(home, "scripts")
    shutil.copytree(SCRIPTS, scripts)
    path = os.path.join(scripts, script)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert text.count(old) == 1, f"{script}: the text to change is not there exactly once:\n{old}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))
    return scripts


def main():
    report = tap.Report()
    for rule, script, old, new, file, case in RULES:
        with report.case(f"{rule}: {file} {case.replace('_', ' ')}"), tempfile.TemporaryDirectory(prefix="larder-rules.") as home:
            program = os.path.join(os.path.dirname(os.path.abspath(__file__)), file + ".py")
            env = {**os.environ, "LARDER_SCRIPTS": without(home, script, old, new)}
            result = subprocess.run([sys.executable, program, case], env=env, capture_output=True, text=True)
            cases, wrong = tap.parse(result.stdout)
            assert not wrong and [c.passed for c in cases] == [False], f"not noticed\n{result.stdout[-2000:]}{result.stderr[-1000:]}"
    report.end()


main()
