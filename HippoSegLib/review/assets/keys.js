// The keyboard.

/** Keys -> what they do; the help lists the same. */
const KEYS = [
  { keys: ["p"], words: "Pass, and on to the next", run: () => judgeAndGoOn("pass") },
  { keys: ["f"], words: "Fail, and on to the next", run: () => judgeAndGoOn("fail") },
  { keys: ["u"], words: "Take the last verdict or comment back", run: undo },
  { keys: ["c"], words: "Write a comment (Enter keeps it, Shift+Enter makes a new line)", run: writeComment },
  { keys: ["n", "ArrowRight"], words: "Next scan", run: () => step(1) },
  { keys: ["b", "ArrowLeft"], words: "Previous scan", run: () => step(-1) },
  { keys: ["ArrowDown"], words: "One row down", run: () => step(rowLength()) },
  { keys: ["ArrowUp"], words: "One row up", run: () => step(-rowLength()) },
  { keys: ["Home"], words: "First scan", run: () => step(-Infinity) },
  { keys: ["End"], words: "Last scan", run: () => step(Infinity) },
  { keys: ["Enter"], words: "Enlarge the scan; again closes it", run: toggleViewer },
  { keys: ["/"], words: "Search", run: () => byId("search").focus() },
  { keys: ["1"], words: "Gallery", run: () => showView("gallery") },
  { keys: ["2"], words: "Table", run: () => showView("table") },
  { keys: ["3"], words: "Charts", run: () => showView("charts") },
  { keys: ["s"], words: "Save review.csv", run: () => byId("save").click() },
  { keys: ["?"], words: "This help", run: () => byId("help").showModal() },
];
const KEY_NAMES = { ArrowRight: "→", ArrowLeft: "←", ArrowDown: "↓", ArrowUp: "↑" };

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.repeat && "pf".includes(event.key)) return;
  const target = event.target;
  if (target.matches("input, textarea, select")) {
    if (event.key === "Escape" || (event.key === "Enter" && target.matches("input"))) leaveField(target);
    return;
  }
  if (byId("help").open) return;
  if (target.matches("a, button, [role=button]") && ["Enter", " "].includes(event.key)) return; // they are pressed
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const entry = KEYS.find(({ keys }) => keys.includes(name));
  if (entry === undefined || (view === "charts" && !byId("viewer").open && /^(Arrow|Home|End)/.test(name))) return;
  event.preventDefault();
  entry.run();
}

/** From a field of the filters back to the scans. */
function leaveField(field) {
  field.blur();
  focusSelected();
}

function toggleViewer() {
  const dialog = byId("viewer");
  if (dialog.open) dialog.close();
  else if (selected() !== null) openViewer(selected());
}

function startKeys() {
  document.addEventListener("keydown", onKey);
  const lines = KEYS.map(({ keys, words }) => {
    const names = keys.map((key) => make("kbd", {}, KEY_NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key)));
    return [make("dt", {}, ...names), make("dd", {}, words)];
  });
  byId("help-keys").append(...lines.flat());
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
}
