// Bringing it together: which view is shown, which scan is selected, what the filters leave.

let view = "gallery";
let shown = [];
let selectedScan = SCANS[0] ?? null;
const verdicts = new Verdicts(() => changed());
const lists = {};

function selected() {
  return selectedScan;
}

/** Select a scan and bring it into view, in the viewer too where that is open. */
function select(scan) {
  selectedScan = scan;
  const list = lists[view];
  if (list) {
    list.reveal(shown.indexOf(scan));
    list.refresh();
    if (!byId("viewer").open) focusSelected();
  }
  showInViewer(scan);
}

function focusSelected() {
  const active = document.activeElement;
  if (active && active.matches("input, select, textarea")) return;
  lists[view]?.elements.get(selectedScan)?.focus({ preventScroll: true });
}

/** The scan so many places after the selected one, null where there is none. */
function neighbour(distance) {
  const index = shown.indexOf(selectedScan);
  const place = index < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, index + distance));
  return shown[place] ?? null;
}

function step(distance) {
  const scan = neighbour(distance);
  if (scan !== null) select(scan);
}

function rowLength() {
  return (view === "gallery" && lists.gallery.shape?.columns) || 1;
}

function showView(name) {
  view = name;
  for (const one of ["gallery", "table", "charts"]) {
    byId(one).hidden = one !== name;
    byId(`show-${one}`).setAttribute("aria-pressed", one === name);
  }
  byId("size-box").hidden = name !== "gallery";
  draw();
  lists[name]?.reveal(shown.indexOf(selectedScan));
}

/** Change filters or order, and show the scans from the first one. */
function choose(change) {
  Object.assign(filters, change);
  for (const list of Object.values(lists)) list.scroller.scrollTop = 0;
  apply();
}

/** Show the scans that the filters leave. */
function apply() {
  shown = shownScans();
  if (!shown.includes(selectedScan) && !byId("viewer").open) selectedScan = shown[0] ?? selectedScan;
  byId("sort").value = filters.sort;
  byId("descending").setAttribute("aria-pressed", filters.descending);
  lists.table.updateHeader();
  draw();
}

function draw() {
  if (view === "charts") drawCharts();
  else lists[view].show(shown);
  byId("nothing").hidden = shown.length > 0;
  byId("count").textContent = shown.length === SCANS.length ? `${SCANS.length} scans` : `${shown.length} of ${SCANS.length} scans`;
}

/** A verdict or a comment was changed. */
function changed() {
  // Only a filter or an order that goes by verdicts can be of another opinion now.
  if (filters.verdict || filters.text || ["verdict", "comment"].includes(filters.sort)) apply();
  else if (view === "charts") drawCharts();
  else lists[view]?.refresh();
  updateViewer();
  showProgress();
}

function showProgress() {
  const said = SCANS.map((scan) => verdicts.of(scan).verdict);
  const [passed, failed] = ["pass", "fail"].map((verdict) => said.filter((one) => one === verdict).length);
  byId("progress").textContent = `${passed + failed} of ${SCANS.length} judged: ${passed} pass, ${failed} fail`;
  byId("bar").value = passed + failed;
  const unsaved = verdicts.unsaved.size;
  byId("save").textContent = unsaved ? `Save review.csv (${unsaved} new)` : "Save review.csv";
  byId("save").classList.toggle("urgent", unsaved > 0);
  byId("not-kept").hidden = verdicts.canKeep;
  showChoices();
}

/** The lists of choices with the numbers of now. */
function showChoices() {
  for (const [name, entries] of Object.entries(choices())) {
    const list = byId(name);
    const words = { status: "Any status", flag: "Any remark", verdict: "Any verdict" }[name];
    const options = entries.map(([value, text, count]) => make("option", { value }, `${text} (${count})`));
    list.replaceChildren(make("option", { value: "" }, words), ...options);
    list.value = filters[name];
  }
}

function startFilters() {
  let byPointer = false;
  for (const name of ["status", "flag", "verdict", "sort", "size"]) {
    const list = byId(name);
    list.addEventListener("pointerdown", () => (byPointer = true));
    list.addEventListener("keydown", () => (byPointer = false));
    list.addEventListener("change", () => {
      if (name === "size") lists.gallery.draw();
      else choose({ [name]: list.value });
      if (byPointer) leaveField(list); // so that the keys judge again; a keyboard's user leaves it with Escape
    });
  }
  byId("search").addEventListener("input", () => {
    choose({ text: byId("search").value });
  });
  byId("descending").addEventListener("click", () => {
    choose({ descending: !filters.descending });
  });
  byId("clear").addEventListener("click", () => {
    for (const name of ["search", "status", "flag", "verdict"]) byId(name).value = "";
    choose({ text: "", status: "", flag: "", verdict: "" });
  });
  const columns = tableColumns().map(({ name, title, unit }) => make("option", { value: name }, unit ? `${title} (${unit})` : title));
  byId("sort").append(make("option", { value: "worst" }, "Worst first"), ...columns);
}

function startFile() {
  byId("save").addEventListener("click", async () => {
    const words = await saveCsv(verdicts.csv());
    if (words === null) return;
    verdicts.saved();
    announce(words);
  });
  byId("load").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async () => {
    const [file] = byId("file").files;
    byId("file").value = "";
    if (file === undefined) return;
    try {
      announce(`${verdicts.takeOver(verdictsOfCsv(decoded(await file.arrayBuffer())))} verdicts taken over.`);
    } catch (error) {
      announce(error.message);
    }
  });
}

function start() {
  lists.gallery = makeGallery();
  lists.table = makeTable();
  byId("bar").max = Math.max(1, SCANS.length);
  for (const name of ["gallery", "table", "charts"]) byId(`show-${name}`).addEventListener("click", () => showView(name));
  startFilters();
  startFile();
  startViewer();
  startKeys();
  showProgress();
  apply();
  showView("gallery");
  new ResizeObserver(() => view === "charts" && drawCharts()).observe(byId("charts"));
}

start();
