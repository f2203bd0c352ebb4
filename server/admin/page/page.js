/* The dashboard.  What must stay true: whatever the daemon tells becomes text, never markup; the token is kept in its
 * field and nowhere else; memory is bounded however long the page is open. */
"use strict";

const POINTS = 720;           // of a curve; older ones fall off
const POINT_EVERY_MS = 2000;
const POLL_MS = 2000;         // when there is no place among the readers of /events
const INVALIDATIONS_MS = 5000;
const TOP_ROWS = 20;         // of all namespaces
const $ = (id) => document.getElementById(id);

/* ---- numbers for people ---- */

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const percent = (part, whole) => (whole > 0 ? (100 * part / whole).toFixed(1) + " %" : "–");
const mib = (bytes) => bytes / 1048576;
const micros = (us) => (us >= 1000 ? number.format(us / 1000) + " ms" : number.format(us) + " µs");

function bytesText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; bytes >= 1024 && i < units.length - 1; i++) bytes /= 1024;
  return number.format(bytes) + " " + units[i];
}

function durationText(seconds) {
  const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${seconds} s`;
}

/* ---- samples ---- */

const samples = []; // as in /api/cache/history, one object a moment

function sampleOf(stats) {
  const sums = { evictions: 0, sets: 0, invalidations: 0, l1_bytes: stats.tiers.l1.bytes };
  for (const space of Object.values(stats.namespaces)) {
    sums.evictions += space.l1 ? space.l1.l1_evictions + space.l1.l1_displaced : 0;
    sums.sets += space.cache.sets;
    sums.invalidations += space.cache.invalidations;
  }
  return Object.assign(sums, {
    t: Date.now() / 1000, near: stats.overall.hits_shared, l1: stats.tiers.l1.hits - stats.overall.hits_shared,
    warm: stats.tiers.warm.hits, l2: stats.tiers.l2.hits, misses: stats.overall.misses,
    gets_measured: stats.times.get.count, gets_ns: stats.times.get.avg_us * 1000 * stats.times.get.count,
    warm_bytes: Object.values(stats.namespaces).reduce((sum, n) => sum + (n.warm ? n.warm.warm_bytes_used : 0), 0),
    redis_bytes: stats.redis.used_memory_bytes || 0, resident_bytes: stats.process.resident_bytes,
    lag_us: lastHealth && lastHealth.redis_latency_ms ? lastHealth.redis_latency_ms * 1000 : 0,
  });
}

function addSample(sample) {
  const last = samples[samples.length - 1];
  if (last && sample.near + sample.l1 + sample.misses < last.near + last.l1 + last.misses) samples.length = 0; // a restart
  samples.push(sample);
  if (samples.length > POINTS) samples.shift();
}

function addHistory(history) {
  history.t.forEach((t, i) => addSample(Object.fromEntries(Object.keys(history).map((name) => [name, history[name][i]]))));
}

/* What happened between sample i - 1 and i. */
const gained = (i, name) => Math.max(0, samples[i][name] - samples[i - 1][name]);
const asked = (i) => ["near", "l1", "warm", "l2", "misses"].reduce((sum, name) => sum + gained(i, name), 0);
const perSecond = (i, count) => count / Math.max(0.5, samples[i].t - samples[i - 1].t);
const shareOf = (name) => (i) => (asked(i) ? 100 * gained(i, name) / asked(i) : null);

/* ---- curves ---- */

const TIERS = [["near", "shared memory", "--c1"], ["l1", "L1 by the daemon", "--c2"], ["warm", "warm", "--c3"],
               ["l2", "Redis", "--c4"], ["misses", "missed", "--c5"]];
const CHARTS = [
  { id: "chart-tiers", stacked: true, max: 100, lines: TIERS.map(([name, label, color]) => [label, color, shareOf(name)]) },
  { id: "chart-rate", lines: [["gets", "--c1", (i) => perSecond(i, asked(i))], ["sets", "--c3", (i) => perSecond(i, gained(i, "sets"))]] },
  { id: "chart-latency", lines: [["get", "--c1", (i) => (gained(i, "gets_measured") ? gained(i, "gets_ns") / gained(i, "gets_measured") / 1000 : null)]] },
  { id: "chart-memory", lines: [["L1 entries", "--c1", (i) => mib(samples[i].l1_bytes)], ["warm tier", "--c3", (i) => mib(samples[i].warm_bytes)],
                                ["Redis", "--c4", (i) => mib(samples[i].redis_bytes)], ["resident", "--c5", (i) => mib(samples[i].resident_bytes)]] },
  { id: "chart-churn", lines: [["evictions", "--c3", (i) => perSecond(i, gained(i, "evictions"))],
                               ["invalidations", "--c4", (i) => perSecond(i, gained(i, "invalidations"))]] },
  { id: "chart-lag", lines: [["lag", "--c2", (i) => samples[i].lag_us / 1000]] },
];

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clock = (t) => new Date(t * 1000).toLocaleTimeString("en-GB");

function optionsOf(chart) {
  const axis = { grid: { color: color("--line") }, ticks: { color: color("--quiet"), maxTicksLimit: innerWidth < 500 ? 3 : 5 } };
  return {
    animation: false, parsing: false, maintainAspectRatio: false, normalized: true, spanGaps: true,
    interaction: { mode: "index", intersect: false },
    scales: {
      x: { ...axis, type: "linear", ticks: { ...axis.ticks, maxRotation: 0, callback: clock } },
      y: { ...axis, beginAtZero: true, max: chart.max, stacked: Boolean(chart.stacked) },
    },
    plugins: {
      legend: { labels: { color: color("--ink"), boxWidth: 12 }, position: "bottom" },
      tooltip: { callbacks: { title: (items) => clock(items[0].parsed.x) } },
    },
  };
}

function datasetOf(chart, [label, name, value]) {
  return { label, value, data: [], borderColor: color(name), backgroundColor: color(name), borderWidth: chart.stacked ? 0 : 1.5,
           pointRadius: 0, fill: Boolean(chart.stacked) };
}

function makeCharts() {
  for (const chart of CHARTS) {
    if (chart.drawn) chart.drawn.destroy();
    chart.drawn = new Chart($(chart.id), { type: "line", options: optionsOf(chart),
                                           data: { datasets: chart.lines.map((line) => datasetOf(chart, line)) } });
  }
}

function drawCharts() {
  if (!window.Chart) return;
  for (const { drawn } of CHARTS) {
    for (const set of drawn.data.datasets)
      set.data = samples.slice(1).map((sample, n) => ({ x: sample.t, y: set.value(n + 1) }));
    drawn.update("none");
  }
}

/* ---- tables ---- */

function cell(tag, text, isText) {
  const e = document.createElement(tag);
  e.textContent = text;
  if (isText) e.className = "text";
  return e;
}

/* columns: [title, value of a row, is it text?] */
function table(id, columns, rows) {
  const head = document.createElement("tr");
  head.append(...columns.map(([title, , isText]) => cell("th", title, isText)));
  $(id).replaceChildren(head, ...rows.map((row) => {
    const line = document.createElement("tr");
    line.append(...columns.map(([, value, isText]) => cell("td", value(row), isText)));
    return line;
  }));
}

const count = (value) => (value === null || value === undefined ? "–" : compact.format(value));

// "30 % expired, 12 % cold": the commonest three.
function whyMissed(cache) {
  return Object.entries(cache).filter(([name, value]) => name.startsWith("misses_") && value > 0).sort((a, b) => b[1] - a[1])
    .slice(0, 3).map(([name, value]) => `${percent(value, cache.misses)} ${name.slice(7).replace("_", " ")}`).join(", ") || "–";
}

/* In the daemon; what clients find in shared memory by themselves never gets there. */
function took(times, quantile) {
  return times && times.count ? micros(times[quantile]) : "–";
}

function showTables(stats) {
  table("tiers", [["tier", (r) => r.name], ["hits", (r) => count(r.hits)], ["of all hits", (r) => percent(r.hit_share, 1)],
                  ["entries", (r) => count(r.entries)], ["bytes", (r) => bytesText(r.bytes)],
                  ["", (r) => (r.available ? "there" : "not there"), true]],
        Object.entries(stats.tiers).map(([name, tier]) => ({ name, ...tier })));
  table("policies", [["policy", (r) => r.name], ["namespace", (r) => r.namespace, true], ["hits", (r) => count(r.hits)],
                     ["misses", (r) => count(r.misses)], ["hit ratio", (r) => percent(r.hits, r.hits + (r.misses || 0))],
                     ["expected", (r) => (r.expect_hit_ratio ? percent(r.expect_hit_ratio, 1) : "–")], ["sets", (r) => count(r.sets)],
                     ["half within", (r) => took(r.times?.get, "p50_us")], ["99 % within", (r) => took(r.times?.get, "p99_us")],
                     ["99 % set within", (r) => took(r.times?.set, "p99_us")],
                     ["saved", (r) => (r.saved_s ? durationText(Math.round(r.saved_s)) : "–")]], stats.policies);
  table("namespaces", [["namespace", (r) => r.name], ["state", (r) => r.state, true], ["gets", (r) => count(r.cache.gets)],
                       ["sets", (r) => count(r.cache.sets)], ["invalidations", (r) => count(r.cache.invalidations)],
                       ["from the fleet", (r) => count(r.cache.records)], ["gaps", (r) => count(r.cache.gaps)],
                       ["loads", (r) => count(r.cache.loads)], ["waited", (r) => count(r.cache.load_waits)],
                       ["misses", (r) => count(r.cache.misses)], ["why", (r) => whyMissed(r.cache), true]],
        Object.entries(stats.namespaces).map(([name, space]) => ({ name, ...space })));
}

/* ---- names ---- */

const most = (rows, name) => [...rows].sort((a, b) => b[name] - a[name]).slice(0, TOP_ROWS);

function names(id, columns, rows) {
  $(id + "-section").hidden = rows.length === 0;
  table(id, columns, rows);
}

function showTop(stats) {
  const namespace = ["namespace", (r) => r.namespace, true];
  names("top-keys", [["key", (r) => r.key], ["uses", (r) => count(r.uses)], namespace], most(stats.top_keys, "uses"));
  names("top-tags", [["tag", (r) => r.tag], ["invalidated", (r) => (r.error ? "at most " : "") + count(r.invalidated)], namespace],
        most(stats.top_tags, "invalidated"));
}

const whoText = (r) => (r.where === "here" ? r.by || "–" : "another host");
const timeText = (text) => new Date(text).toLocaleTimeString("en-GB");

function showInvalidations(log) {
  names("invalidations", [["time", (r) => timeText(r.time)], ["what", (r) => r.names, true], ["who", whoText, true],
                          ["event", (r) => r.event || "", true], ["dropped", (r) => count(r.dropped)],
                          ["", (r) => (r.soft ? "soft" : ""), true], ["namespace", (r) => r.namespace, true]], log.invalidations);
}

async function pollInvalidations() {
  try {
    const reply = await fetch("api/cache/invalidations");
    if (reply.status === 404) return; // names are switched off
    showInvalidations(await reply.json());
  } catch {
    // the events say that the daemon is away
  }
  setTimeout(pollInvalidations, INVALIDATIONS_MS);
}

/* ---- warming ---- */

const ratioText = (ratio) => (ratio === null ? "–" : percent(ratio, 1));

function nextText(warming) {
  if (warming.running) return "now";
  if (warming.waits_for) return warming.waits_for;
  return warming.next_ms === null ? "by hand" : "in " + durationText(Math.round(warming.next_ms / 1000));
}

function showWarming(policies) {
  const rows = policies.filter((row) => row.warming), select = $("warm-policy");
  $("warming").hidden = rows.length === 0;
  table("runs", [["policy", (r) => r.name], ["namespace", (r) => r.namespace, true],
                 ["last", (r) => (r.warming.last ? `${r.warming.last.result} ${clock(r.warming.last.began_s)}` : "–"), true],
                 ["keys", (r) => count(r.warming.last && r.warming.last.keys)], ["loaded", (r) => count(r.warming.last && r.warming.last.loaded)],
                 ["missing", (r) => count(r.warming.last && r.warming.last.missing)], ["failed", (r) => count(r.warming.last && r.warming.last.failed)],
                 ["took", (r) => (r.warming.last ? micros(r.warming.last.took_ms * 1000) : "–")],
                 ["hit ratio", (r) => (r.warming.last ? `${ratioText(r.warming.last.hit_ratio_before)} → ${ratioText(r.warming.last.hit_ratio_after)}` : "–")],
                 ["today", (r) => `${r.warming.days[0].runs} runs, ${count(r.warming.days[0].loaded)} loaded`],
                 ["next", (r) => nextText(r.warming), true]], rows);
  if (select.options.length === rows.length) return;
  select.replaceChildren(...rows.map((r) => {
    const option = new Option(`${r.name} in ${r.namespace}`, r.name);
    option.dataset.namespace = r.namespace;
    return option;
  }));
}

function showNamespaces(names) {
  const select = $("clear-namespace");
  if (select.options.length === names.length) return;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
}

/* ---- now ---- */

function say(id, text, className) {
  $(id).textContent = text;
  if (className !== undefined) $(id).className = className;
}

function showRecent() {
  const n = samples.length - 1, from = Math.max(0, samples.findIndex((s) => s.t > samples[n].t - 300) - 1);
  if (n < 1) return;
  const sum = (name) => samples[n][name] - samples[from][name], seconds = Math.max(1, samples[n].t - samples[from].t);
  const misses = sum("misses"), all = misses + sum("near") + sum("l1") + sum("warm") + sum("l2");
  say("ratio", percent(all - misses, all));
  say("ratio-note", `of ${compact.format(all)} gets in ${durationText(Math.round(seconds))}`);
  say("rate", compact.format(perSecond(n, asked(n))) + "/s");
  say("rate-note", `${compact.format(perSecond(n, gained(n, "sets")))} sets/s`);
  say("evictions", compact.format(perSecond(n, gained(n, "evictions"))) + "/s");
  say("evictions-note", `${compact.format(sum("evictions"))} in ${durationText(Math.round(seconds))}`);
}

function showStats(stats) {
  const get = stats.times.get;
  say("about", `${stats.version} · up ${durationText(stats.uptime_s)}`);
  say("latency", micros(get.p50_us));
  say("latency-note", `99 % within ${micros(get.p99_us)}, in the daemon`);
  say("entries", compact.format(stats.tiers.l1.entries));
  say("entries-note", `${bytesText(stats.tiers.l1.bytes)}; warm tier ${compact.format(stats.tiers.warm.entries)}`);
  showTables(stats);
  showTop(stats);
  showNamespaces(Object.keys(stats.namespaces));
  showWarming(stats.policies);
  showRedis(stats.redis);
}

function showRedis(redis) {
  const lag = lastHealth && lastHealth.redis_latency_ms;
  if (!redis.configured) {
    say("redis", "none", "figure");
    say("redis-note", "this host is a world of its own");
  } else if (redis.connected) {
    say("redis", lag === null || lag === undefined ? "connected" : `lag ${number.format(lag)} ms`, "figure ok");
    say("redis-note", `${bytesText(redis.used_memory_bytes)}${redis.max_memory_bytes ? " of " + bytesText(redis.max_memory_bytes) : ""}`);
  } else {
    say("redis", "away", "figure lost");
    say("redis-note", redis.trouble || redis.session || "");
  }
}

function issueItem(text, condition) {
  const item = document.createElement("li");
  item.className = condition ? condition.severity : "";
  const line = document.createElement("p");
  line.textContent = text;
  item.append(line);
  return item;
}

let lastHealth = null;

function showHealth(health) {
  lastHealth = health;
  say("status", health.status, "pill " + health.status);
  say("state", health.state);
  $("state").hidden = false;
  say("score", `score ${health.score} of 100`);
  const items = health.issues.map((text, i) => issueItem(text, health.conditions[i]));
  for (const text of health.recommendations) {
    const advice = issueItem("→ " + text);
    advice.className = "quiet";
    items.push(advice);
  }
  $("issues").replaceChildren(...(items.length ? items : [issueItem("All is well.", { severity: "ok" })]));
}

/* ---- from the daemon ---- */

let nextPoint = 0;

function takeStats(stats) {
  showStats(stats);
  if (Date.now() < nextPoint) return;
  nextPoint = Date.now() + POINT_EVERY_MS;
  addSample(sampleOf(stats));
  showRecent();
  drawCharts();
}

async function fetchJson(path) {
  const reply = await fetch(path);
  return reply.json(); // also of a health that fails
}

function lost() {
  say("status", "not reached", "pill failing");
}

async function poll() {
  try {
    showHealth(await fetchJson("api/cache/health"));
    takeStats(await fetchJson("api/cache/stats"));
  } catch {
    lost();
  }
  setTimeout(poll, POLL_MS);
}

function listen() {
  const events = new EventSource("events");
  events.addEventListener("stats", (event) => takeStats(JSON.parse(event.data)));
  events.addEventListener("health", (event) => showHealth(JSON.parse(event.data)));
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) poll(); // refused: there are enough readers
    else lost();                                          // the browser tries again by itself
  };
}

/* ---- days ---- */

/* Of one namespace: that which can be cleared, too. */
async function showDays() {
  const namespace = $("clear-namespace").value;
  try {
    const report = await fetchJson("api/cache/report?days=7&namespace=" + encodeURIComponent(namespace));
    if (report.rows) {
      table("days", [["day (UTC)", (r) => r.day], ["gets", (r) => count(r.gets)], ["hit ratio", (r) => percent(r.hits, r.gets)],
                     ["misses", (r) => count(r.misses)], ["sets", (r) => count(r.sets)], ["invalidations", (r) => count(r.invalidations)],
                     ["saved calls", (r) => count(r.saved_calls)],
                     ["saved time", (r) => (r.saved_ms ? durationText(Math.round(r.saved_ms / 1000)) : "–")],
                     ["saved money", (r) => (r.saved_cost ? number.format(r.saved_cost) : "–")]], report.rows.reverse());
      say("days-note", `namespace ${report.namespace}${report.kept ? "" : ", since the daemon's start: there is no warm tier"}`);
    }
  } catch { /* the header says that the daemon is not reached */ }
  setTimeout(showDays, POINT_EVERY_MS);
}

/* ---- clearing ---- */

function clearRequest() {
  const kind = $("clear-kind").value, names = $("clear-names").value.split("\n").filter((name) => name !== "");
  const body = { namespace: $("clear-namespace").value };
  if (kind === "all") body.all = true;
  else body[kind] = names;
  return { body, kind, names };
}

/* `form`: "clear" or "warm", whose token and last word have ids that begin so. */
async function change(form, body, done) {
  const headers = { "Content-Type": "application/json" }, token = $(form + "-token").value;
  if (token) headers.Authorization = "Bearer " + token;
  try {
    const reply = await fetch("api/cache/" + form, { method: "POST", headers, body: JSON.stringify(body) });
    const said = await reply.json();
    say(form + "-said", reply.ok ? `${said.status}: ${done}` : said.error, reply.ok ? "ok" : "critical");
  } catch {
    say(form + "-said", "the daemon was not reached", "critical");
  }
}

function confirmFirst(text, word, then) {
  say("confirm-text", text);
  say("confirm-yes", word);
  $("confirm-yes").onclick = () => { $("confirm").close(); then(); };
  $("confirm-no").onclick = () => $("confirm").close();
  $("confirm").showModal();
}

function askToClear(event) {
  event.preventDefault();
  const { body, kind, names } = clearRequest();
  if (kind !== "all" && names.length === 0) {
    say("clear-said", "say which ones: one name a line", "critical");
    return;
  }
  const what = kind === "all" ? "everything" : `${names.length} ${kind}`;
  confirmFirst(`Clear ${what} in namespace ${body.namespace}? All hosts that share it lose these entries.`, "Clear",
               () => change("clear", body, `cleared in ${body.namespace}`));
}

function askToWarm(event) {
  event.preventDefault();
  const option = $("warm-policy").selectedOptions[0];
  if (!option) return;
  const body = { namespace: option.dataset.namespace, policy: option.value };
  confirmFirst(`Warm the keys of policy ${body.policy} in namespace ${body.namespace} now? Registered loaders may be asked for many of them.`,
               "Warm", () => change("warm", body, `${body.policy} is being warmed`));
}

/* ---- begin ---- */

async function begin() {
  $("clear").addEventListener("submit", askToClear);
  $("warm").addEventListener("submit", askToWarm);
  $("clear-kind").addEventListener("change", () => { $("clear-names-label").hidden = $("clear-kind").value === "all"; });
  $("no-charts").hidden = Boolean(window.Chart);
  document.querySelector(".charts").hidden = !window.Chart;
  if (window.Chart) {
    makeCharts();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { makeCharts(); drawCharts(); });
  }
  try {
    addHistory(await fetchJson("api/cache/history"));
  } catch {
    lost();
  }
  drawCharts();
  listen();
  pollInvalidations();
  showDays();
}

begin();
