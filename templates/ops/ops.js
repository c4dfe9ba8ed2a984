// Asks the node that this page was loaded from, again and again, also for the others.
import { byId, cell, count, head, mark, replaceBody, rows, seconds, write } from "./format.js";
import * as plots from "./plots.js";
import * as settings from "./settings.js";

const EVERY_MS = 1000;
const SLOW_S = 0.1;
const RETRY_MS = 15000;
const AT_ONCE = 4;
// Of this tab, and gone with it.
let token = sessionStorage.getItem("token");
let timer;
let chosen;
let round = 0;
const lines = new Map();

// ---- nodes

const lives = (node) => node.state === "live" || node.state === "draining";

// What is worth a look at a node, the worst first: [how bad, what].
const findings = (node) => {
  const digest = node.digest;
  if (node.state === "gone") return [["bad", "is gone: no heartbeat for 3 s, and it has not said that it stops"]];
  if (!lives(node)) return [];
  const found = node.disagrees.map((about) => ["bad", `disagrees (${about.subject}): ${about.advice}`]);
  if (!digest.standing) found.push(["bad", "does not serve: a vital actor is down"]);
  if (digest.degraded.length) found.push(["busy", `is degraded, without ${digest.degraded.join(", ")}`]);
  if (!digest.leaseHeld) found.push(["busy", "has no cache lease: every request reads Postgres"]);
  if (digest.refreshP99S > SLOW_S) found.push(["busy", "is slow: the p99 of a refresh is above 100 ms"]);
  if (digest.restartsInWindow > 0) found.push(["busy", "has restarted actors within the window"]);
  if (digest.poolMax > 0 && digest.poolUsed >= digest.poolMax) found.push(["busy", "uses every connection to Postgres"]);
  if (node.state === "draining") found.push(["busy", "drains: it was asked to end"]);
  return found;
};

const showAlarms = (report) => {
  const alarms = report.nodes.flatMap((node) => findings(node).map(([kind, what]) => [kind, `${node.name} ${what}`]));
  if (!report.fresh) alarms.unshift(["bad", "Postgres does not respond: what is shown was heard before"]);
  if (!alarms.length) alarms.push(["", "Nothing: every node is well, and they agree"]);
  alarms.sort((one, other) => (other[0] === "bad") - (one[0] === "bad"));
  const text = JSON.stringify(alarms);
  const list = byId("alarms");
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.replaceChildren(
    ...alarms.map(([kind, what]) => {
      const item = document.createElement("li");
      const word = document.createElement("strong");
      word.textContent = { bad: "Wrong: ", busy: "Look: ", "": "" }[kind];
      item.className = kind;
      item.append(word, what);
      return item;
    }),
  );
};

const COLUMNS = [
  (node) => node.version,
  (node) => seconds(node.uptimeS),
  (node) => `${seconds(node.lastHeartbeatS)} ago`,
  (node) => (node.digest.actorsDown ? `${node.digest.actors}, ${node.digest.actorsDown} down` : count(node.digest.actors)),
  (node) => `${count(node.digest.restartsInWindow)} of ${count(node.digest.maxRestarts)}`,
  (node) => (node.digest.leaseHeld ? "held" : "not held"),
  (node) => count(node.digest.sessionsCached),
  (node) => rows(node.digest.refreshesPerS),
  (node) => seconds(node.digest.refreshP99S),
  (node) => count(node.digest.hashesWaiting),
  (node) => `${count(node.digest.poolUsed)} of ${count(node.digest.poolMax)}`,
  (node) => `${node.clockDifferenceS >= 0 ? "+" : "−"}${seconds(Math.abs(node.clockDifferenceS))}`,
  (node) => node.disagrees.map((about) => about.subject).join(", ") || "no",
];
const PLAIN = new Set([0, 5, 12]);

const begin = (node) => {
  const row = byId("nodes").tBodies[0].insertRow();
  const name = document.createElement("button");
  name.type = "button";
  name.addEventListener("click", () => {
    chosen = node.id;
    refresh();
  });
  head(row, "").append(name);
  const state = cell(row, "", "state");
  const word = document.createElement("span");
  state.append(mark(), word);
  const cells = COLUMNS.map((_, place) => cell(row, "", PLAIN.has(place) ? "" : "number"));
  const line = { row, name, word, cells };
  lines.set(node.id, line);
  return line;
};

const showNodes = (report) => {
  for (const [id, line] of lines) {
    if (report.nodes.some((node) => node.id === id)) continue;
    line.row.remove();
    lines.delete(id);
  }
  for (const node of report.nodes) {
    const line = lines.get(node.id) || begin(node);
    const worst = findings(node).map(([kind]) => kind).sort()[0] || "";
    line.row.className = `${node.state} ${worst}`.trim();
    write(line.name, `${node.name}${node.id === report.node ? " (asked)" : ""}`);
    line.name.title = `${node.address}, started ${node.startedAt}`;
    line.name.setAttribute("aria-pressed", String(node.id === chosen));
    line.name.disabled = !lives(node);
    write(line.word, node.state);
    COLUMNS.forEach((column, place) => write(line.cells[place], column(node)));
  }
  const living = report.nodes.filter(lives).length;
  write(byId("node"), `${living} of ${report.nodes.length} nodes live`);
  const overrides = Object.entries(report.overrides).map(([name, value]) => `${name}=${value}`);
  write(
    byId("shared"),
    `Mails that wait, of all nodes: ${count(report.mailWaiting)}. ` +
      (overrides.length ? `Set for all nodes: ${overrides.join(", ")}.` : "No setting is set for all nodes."),
  );
};

// ---- the chosen node

const showActor = (body, actor, depth) => {
  const row = body.insertRow();
  row.className = actor.state;
  const name = head(row, actor.name);
  name.style.paddingLeft = `${depth * 1.4 + 0.3}rem`;
  const state = cell(row, "", "state");
  state.append(mark(), actor.state);
  cell(row, seconds(actor.uptimeS), "number");
  const policy = actor.restartPolicy;
  const allowed = policy ? ` (children ${policy.restartsInWindow} of ${policy.maxRestarts})` : "";
  cell(row, `${count(actor.restartsInWindow)}${allowed}`, "number");
  const mailbox = actor.mailbox || {};
  cell(row, count(mailbox.queued), "number");
  cell(row, mailbox.limit ? `${count(mailbox.inFlight)} / ${count(mailbox.limit)}` : count(mailbox.inFlight), "number");
  cell(row, count(mailbox.refused), "number");
  const handler = actor.handlerS || {};
  cell(row, count(handler.count), "number");
  cell(row, seconds(handler.p50), "number");
  cell(row, seconds(handler.p99), "number");
  const failure = actor.lastFailure;
  cell(row, failure ? `${seconds(failure.agoS)} ago: ${failure.reason}` : "", "failure");
  for (const child of actor.children || []) showActor(body, child, depth + 1);
};

const showLanes = (body, actor) => {
  for (const lane of actor.batches || []) {
    const row = body.insertRow();
    row.className = "lane";
    head(row, `${actor.path} ${lane.lane}`);
    cell(row, count(lane.waiting), "number");
    cell(row, count(lane.size.count), "number");
    cell(row, rows(lane.size.mean), "number");
    cell(row, rows(lane.size.p99), "number");
    cell(row, seconds(lane.timeS.p50), "number");
    cell(row, seconds(lane.timeS.p99), "number");
  }
  for (const child of actor.children || []) showLanes(body, child);
};

const showHouse = (body, house) => {
  const vacuum = house.vacuum;
  write(
    byId("house"),
    (house.keepsHouse ? "This node keeps house for all" : "Another node keeps house, or none yet") +
      `; vacuums by need: ${count(vacuum.done)}, without effect ${count(vacuum.withoutEffect)}, failed ${count(vacuum.failed)}, ` +
      `${seconds(vacuum.busyS)} in all`,
  );
  for (const table of house.tables) {
    const row = body.insertRow();
    head(row, table.table);
    cell(row, count(table.removed), "number");
    cell(row, count(table.refused), "number");
    cell(row, seconds(table.busyS), "number");
    cell(row, table.walked === undefined ? "" : `${Math.floor(table.walked * 100)} %`, "number");
    cell(row, table.endedAt || "");
  }
};

const showTree = (report) => {
  const degraded = report.degraded.length ? `, degraded: ${report.degraded.join(", ")}` : "";
  const stands = report.standing ? "every vital actor runs" : "NOT every vital actor runs";
  write(byId("standing"), `Version ${report.version}, up ${seconds(report.uptimeS)}, ${stands}${degraded}`);
  replaceBody("actors", (body) => showActor(body, report.root, 0));
  replaceBody("lanes", (body) => showLanes(body, report.root));
  replaceBody("swept", (body) => showHouse(body, report.housekeeping));
};

// ---- asking

const ask = (problem) => {
  clearTimeout(timer);
  sessionStorage.removeItem("token");
  token = null;
  plots.forget();
  byId("tree").hidden = true;
  byId("ask").hidden = false;
  write(byId("problem"), problem);
  byId("token").focus();
};

// A response; nothing if the token is refused.
const request = async (path, options = {}) => {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const response = await fetch(path, { ...options, headers });
  if (response.status !== 401) return response;
  ask("This token is not the right one.");
  return undefined;
};

// What a node says about this, or why it says nothing.
const questioned = async (node, question) => {
  const response = await request(`/ops/nodes/${node.id}/${question}`);
  if (!response) return {};
  const said = await response.json();
  return response.ok ? { said } : { why: said.message };
};

// Nodes that could not be asked, why, and when they are asked again.
const silent = new Map();

const askHistory = async (node) => {
  if (silent.get(node.id)?.until > Date.now()) return;
  const { said, why } = await questioned(node, `history?since=${plots.newest(node.id)}`);
  if (said) {
    silent.delete(node.id);
    plots.learn(node.id, said);
  } else if (why) {
    silent.set(node.id, { why, until: Date.now() + RETRY_MS });
  }
};

// A few at a time, since the listener for operators takes few requests at once.
const askHistories = async (nodes) => {
  for (let first = 0; first < nodes.length; first += AT_ONCE) {
    await Promise.all(nodes.slice(first, first + AT_ONCE).map(askHistory));
  }
  plots.unheard(nodes.filter((node) => silent.has(node.id)).map((node) => `${silent.get(node.id).why}.`));
  plots.show(nodes);
};

const askChosen = async (report) => {
  const living = report.nodes.filter(lives);
  const node = living.find((other) => other.id === chosen) || living.find((other) => other.id === report.node);
  if (!node) return;
  chosen = node.id;
  settings.aim(node.id === report.node);
  for (const place of document.querySelectorAll(".chosen")) write(place, node.name);
  const [tree, values] = await Promise.all([questioned(node, "actors"), questioned(node, "settings")]);
  if (tree.said) showTree(tree.said);
  else if (tree.why) write(byId("standing"), `${tree.why}.`);
  if (values.said) settings.show(values.said.settings);
};

let isUnderWay = false;
let isWanted = false;

const refresh = async () => {
  isWanted = isUnderWay;
  if (isUnderWay) return;
  isUnderWay = true;
  clearTimeout(timer);
  try {
    const response = await request("/ops/cluster");
    if (!response) return;
    if (!response.ok) throw new Error(`status ${response.status}`);
    const report = await response.json();
    chosen ||= report.node;
    byId("tree").hidden = false;
    byId("tree").classList.remove("stale");
    byId("ask").hidden = true;
    showAlarms(report);
    showNodes(report);
    await askChosen(report);
    showNodes(report);
    if (round++ % 2 === 0) await askHistories(report.nodes.filter(lives));
    write(byId("problem"), "");
  } catch (error) {
    byId("tree").classList.add("stale");
    write(byId("problem"), `No answer (${error.message}); trying again.`);
  } finally {
    isUnderWay = false;
    if (token) timer = setTimeout(refresh, isWanted ? 0 : EVERY_MS);
  }
};

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  sessionStorage.setItem("token", token);
  refresh();
});
byId("leave").addEventListener("click", () => ask(""));
settings.start(request, refresh);
if (token) refresh(); else ask("");
