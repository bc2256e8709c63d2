// The table: every column, sorted by any of them.

const ROW_HEIGHT = 30;
const TEXT_COLUMNS = [
  { name: "scan", title: "Scan", width: 240 },
  { name: "subject", title: "Subject", width: 90 },
  { name: "session", title: "Session", width: 80 },
  { name: "status", title: "Status", width: 110 },
  { name: "verdict", title: "Verdict", width: 90 },
  { name: "comment", title: "Comment", width: 180 },
  { name: "flags", title: "Remarks", width: 220 },
];
const LAST_COLUMNS = [
  { name: "path", title: "Scan's file", width: 260 },
  { name: "model", title: "Model", width: 160 },
  { name: "version", title: "Version", width: 80 },
  { name: "seconds", title: "Seconds", width: 80, unit: "s", number: true },
];

/** The columns in which anything stands. */
function tableColumns() {
  const isUsed = ({ name }) => ["verdict", "comment"].includes(name) || SCANS.some((scan) => sortKey(scan, name) !== null);
  const measured = DATA.columns.map((column) => ({ ...column, number: true, width: 110 }));
  return [...TEXT_COLUMNS, ...measured, ...LAST_COLUMNS].filter(isUsed);
}

/** What stands in a cell. */
function cellContent(scan, column) {
  const { name } = column;
  if (name === "scan") return bdi(scan.scan);
  if (name === "status") return statusBadge(scan);
  if (name === "verdict") {
    const { verdict } = verdicts.of(scan);
    return verdict && make("span", { class: `said ${verdict}` }, `${VERDICT_SIGNS[verdict]} ${VERDICT_WORDS[verdict]}`);
  }
  if (name === "comment") return verdicts.of(scan).comment && bdi(verdicts.of(scan).comment);
  if (name === "flags") return scan.failure ? scan.failure[0] : scan.flags.map(flagName).join(" ");
  if (name === "seconds") return scan.seconds === null ? "" : scan.seconds.toFixed(1);
  return COLUMN_INDEX.has(name) ? shownValue(scan, name) : (scan.facts[name] ?? "");
}

function makeTable() {
  const columns = tableColumns();
  const width = columns.reduce((sum, column) => sum + column.width, 0);
  const style = columns.map((column) => `${column.width}px`).join(" ");
  const header = make("div", { class: "row header", role: "row" });
  header.style.gridTemplateColumns = style;
  header.style.width = `${width}px`;
  for (const column of columns) {
    const title = column.unit ? `${column.title} (${column.unit})` : column.title;
    const button = make("button", { type: "button", title: column.description, onclick: () => sortBy(column.name) }, title);
    const cell = make("div", { role: "columnheader", class: column.number ? "number" : null, "data-column": column.name }, button);
    header.append(cell);
  }
  byId("table").append(header);
  const list = new VirtualList({
    scroller: byId("table"),
    layout: () => ({ columns: 1, width, height: ROW_HEIGHT, top: 0 }),
    create: () => makeRow(columns, style),
    count: (row, place, number) => {
      row.setAttribute("aria-rowindex", place + 1); // after the header
      byId("table").setAttribute("aria-rowcount", number + 1);
    },
  });
  list.space.setAttribute("role", "rowgroup");
  list.space.style.width = `${width}px`;
  list.updateHeader = () => {
    for (const cell of header.children) {
      const isSorted = cell.dataset.column === filters.sort;
      cell.setAttribute("aria-sort", !isSorted ? "none" : filters.descending ? "descending" : "ascending");
    }
  };
  return list;
}

/** A row, to be filled with one scan after the other. */
function makeRow(columns, style) {
  let scan = null;
  const row = make("div", { class: "row", role: "row", tabindex: "-1" });
  row.style.gridTemplateColumns = style;
  const cells = columns.map((column) => make("div", { role: "cell", class: column.number ? "number" : null }));
  const show = (column, index) => {
    const content = cellContent(scan, column);
    if (typeof content === "string") cells[index].textContent = content;
    else cells[index].replaceChildren(content);
  };
  row.append(...cells);
  row.addEventListener("click", () => select(scan));
  row.addEventListener("dblclick", () => openViewer(scan));
  row.fill = (other) => {
    scan = other;
    columns.forEach(show);
    markSelected(row, scan);
  };
  row.update = () => {
    columns.forEach((column, index) => ["verdict", "comment"].includes(column.name) && show(column, index));
    markSelected(row, scan);
  };
  return row;
}

/** Sort by a column; the same one again turns the order round. */
function sortBy(name) {
  choose({ descending: filters.sort === name && !filters.descending, sort: name });
}
