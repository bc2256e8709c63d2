// review.csv: written as spreadsheets like it, and read whatever they made of it.

const FORMULA = /^[=+\-@\t\r]/;
const REVIEW_COLUMNS = ["scan", "verdict", "comment", "when", "result"];

/** The text of a table: commas, a byte order mark, and no cell that is taken for a formula. */
function csvText(rows) {
  const cell = (text) => {
    const harmless = FORMULA.test(text) ? `'${text}` : text;
    return /[",;\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  return "\ufeff" + rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** The cells of a table with commas, semicolons or tabs; null where a quote is not closed. */
function csvRows(text) {
  text = text.replace(/^\ufeff/, "");
  const first = text.split("\n", 1)[0];
  const separator = [",", ";", "\t"].reduce((a, b) => (first.split(b).length > first.split(a).length ? b : a));
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === separator || c === "\n") {
      row.push(cell.replace(/\r$/, ""));
      cell = "";
      if (c === "\n") rows.push(row.splice(0));
    } else cell += c;
  }
  if (quoted) return null;
  if (cell !== "" || row.length) rows.push([...row, cell]);
  return rows.filter((cells) => cells.some((text) => text !== ""));
}

/** The text of a file, in UTF-8, UTF-16 or Windows' Western encoding. */
function decoded(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(buffer);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer);
  } catch {
    return new TextDecoder("windows-1252").decode(buffer);
  }
}

/** Scan -> verdict of a review.csv. Throws an error with one sentence where it cannot be understood. */
function verdictsOfCsv(text) {
  const rows = csvRows(text);
  const written = rows?.[0]?.map((name) => name.trim()) ?? [];
  const header = written.map((name) => name.toLowerCase());
  if (!header.includes("scan") || !header.includes("verdict")) {
    throw new Error("This is no review.csv: its first line does not name the columns scan and verdict.");
  }
  const found = new Map();
  rows.slice(1).forEach((row, index) => {
    const cell = (name) => row[header.indexOf(name)] ?? "";
    const unmarked = (text) => (/^'[=+\-@\t\r]/.test(text) ? text.slice(1) : text);
    const plain = (name) => unmarked(cell(name));
    const verdict = cell("verdict").trim().toLowerCase();
    const scan = plain("scan");
    if (scan.trim() === "" || !["pass", "fail", ""].includes(verdict)) {
      throw new Error(`Row ${index + 2} of the file does not say pass or fail of a scan.`);
    }
    const [comment, when, result] = [plain("comment"), cell("when"), cell("result")].map((t) => t.trim());
    const beside = {}; // what stands in columns that somebody added
    written.forEach((name, place) => {
      const text = unmarked(row[place] ?? "").trim();
      if (name && text && !REVIEW_COLUMNS.includes(header[place])) beside[unmarked(name)] ??= text;
    });
    const entry = { verdict, comment, when, result, beside };
    const other = found.get(scan);
    const [first, last] = other && other.when > when ? [entry, other] : [other, entry];
    found.set(scan, { ...last, beside: { ...first?.beside, ...last.beside } });
  });
  return found;
}
