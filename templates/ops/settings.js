// Settings with their values, changed in place, with a way back.
import { byId, cell, head, write } from "./format.js";

const FROM = { default: "default", flag: "flag", environment: "environment", file: "env file", node: "set at this node", cluster: "set for all nodes" };
const lines = new Map();
let send = async () => {};

const scope = () => document.querySelector("input[name=scope]:checked").value;

// `ask` sends a request and returns what the server says; `done` is told when something has changed.
export const start = (ask, done) => {
  send = async (where, name, value, undoes) => {
    const path = where === "all" ? "/ops/cluster/settings" : "/ops/settings";
    const line = lines.get(name);
    const before = line?.setting;
    const response = await ask(path, { method: "PATCH", body: JSON.stringify({ [name]: value }) });
    if (!response) return;
    const said = await response.json();
    if (!response.ok) {
      const why = (said.problems || []).map((problem) => problem.reason.replace(`${name}: `, "")).join("; ");
      refused(line, why || said.message);
      return;
    }
    line?.input.classList.remove("wrong");
    line?.input.removeAttribute("aria-invalid");
    if (line) line.input.dataset.edited = "";
    const change = said.changed[0];
    const forWhom = where === "all" ? "all nodes" : "this node";
    const text = `${change.name}: ${change.old} → ${change.new}, for ${forWhom}${undoes ? ", undone" : ""}. ${said.notices.join(" ")}`.trim();
    write(byId("change-result"), text);
    if (!undoes) remember(where, name, text, (where === "all" ? before?.cluster : before?.node) ?? null);
    await done();
  };
};

const refused = (line, why) => {
  write(byId("change-result"), `Nothing was changed: ${why}`);
  if (!line) return;
  line.input.classList.add("wrong");
  line.input.setAttribute("aria-invalid", "true");
  line.input.focus();
};

const remember = (where, name, text, before) => {
  const item = document.createElement("li");
  const undo = document.createElement("button");
  undo.type = "button";
  undo.textContent = "Undo";
  undo.setAttribute("aria-label", `Undo the change of ${name}`);
  undo.addEventListener("click", async () => {
    undo.disabled = true;
    await send(where, name, before, true);
    item.remove();
    byId("changes").hidden = !byId("changes").children.length;
  });
  item.append(`${text} `, undo);
  byId("changes").prepend(item);
  byId("changes").hidden = false;
};

const begin = (setting) => {
  const row = byId("settings").insertRow();
  const name = head(row, "");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const [set, back] = [document.createElement("button"), document.createElement("button")];
  label.textContent = setting.name;
  input.id = label.htmlFor = `value-${setting.name}`;
  input.autocomplete = "off";
  input.setAttribute("aria-describedby", `help-${setting.name}`);
  name.append(label);
  set.type = back.type = "button";
  set.textContent = "Set";
  back.textContent = "Take back";
  set.setAttribute("aria-label", `Set ${setting.name}`);
  back.setAttribute("aria-label", `Take ${setting.name} back`);
  const edit = cell(row, "", "edit");
  edit.append(input, set, back);
  const line = { setting, input, back, from: cell(row, ""), standard: cell(row, "", "number") };
  const help = cell(row, setting.help, "quiet");
  help.id = `help-${setting.name}`;
  const go = () => send(scope(), setting.name, input.value.trim() || null, false);
  set.addEventListener("click", go);
  back.addEventListener("click", () => send(scope(), setting.name, null, false));
  input.addEventListener("input", () => { input.dataset.edited = "yes"; });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go();
    if (event.key === "Escape") {
      input.value = line.setting.value;
      input.dataset.edited = "";
    }
  });
  lines.set(setting.name, line);
  return line;
};

let isOwn = true;

// Whose settings are shown: those of the node that is asked, which alone can be set alone, or not.
export const aim = (isAsked) => {
  isOwn = isAsked;
  const one = byId("scope-one");
  one.disabled = !isOwn;
  if (!isOwn && one.checked) document.querySelector("input[name=scope][value=all]").checked = true;
};

// What a node says. A value that somebody is just writing stays.
export const show = (settings) => {
  for (const setting of settings) {
    const line = lines.get(setting.name) || begin(setting);
    line.setting = setting;
    if (!line.input.dataset.edited && line.input.value !== setting.value) line.input.value = setting.value;
    write(line.from, FROM[setting.source] || setting.source);
    write(line.standard, setting.default);
    line.back.hidden = setting.cluster === undefined && !(isOwn && setting.node !== undefined);
  }
};
