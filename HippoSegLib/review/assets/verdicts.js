// What the reviewer said: kept in the browser at once, and saved as review.csv.

/** The verdicts on the scans of this page. `onchange` is called after each change. */
class Verdicts {
  constructor(onchange) {
    this.onchange = onchange;
    this.key = `hipposeg-review:${DATA.id}`;
    this.steps = []; // to undo: [scan, entry before, whether that was unsaved]
    this.canKeep = true;
    this.load();
    addEventListener("storage", (event) => {
      if (event.key !== this.key) return; // another window with this page
      this.load();
      this.onchange();
    });
  }

  /** The verdicts of review.csv, as it was when the page was built, and over them those kept here since. */
  load() {
    this.entries = new Map(Object.entries(DATA.verdicts));
    this.unsaved = new Set();
    let kept = null;
    try {
      kept = JSON.parse(localStorage.getItem(this.key)) ?? this.keptElsewhere();
    } catch {
      this.canKeep = false;
    }
    for (const [scan, entry] of Object.entries(kept?.entries ?? {})) {
      const filed = this.entries.get(scan);
      if ((filed?.when ?? "") > entry.when) continue;
      this.entries.set(scan, { ...entry, beside: { ...entry.beside, ...filed?.beside } });
      if (kept.unsaved.includes(scan)) this.unsaved.add(scan);
    }
  }

  /** Verdicts on the very same results that were kept for another page, as for one of this folder before. */
  keptElsewhere() {
    const found = {};
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith("hipposeg-review:"))) {
      for (const [name, entry] of Object.entries(JSON.parse(localStorage.getItem(key)).entries)) {
        const isSame = entry.result && BY_NAME.get(name)?.result === entry.result;
        if (isSame && (found[name]?.when ?? "") <= entry.when) found[name] = entry;
      }
    }
    return { entries: found, unsaved: Object.keys(found) };
  }

  /** Keep what the page does not know by itself. */
  keep() {
    try {
      const isOther = ([scan, entry]) => JSON.stringify(entry) !== JSON.stringify(DATA.verdicts[scan]);
      const values = { entries: Object.fromEntries([...this.entries].filter(isOther)), unsaved: [...this.unsaved] };
      localStorage.setItem(this.key, JSON.stringify(values));
    } catch {
      this.canKeep = false;
    }
    this.onchange();
  }

  /** The verdict that counts for a scan's result: { verdict, comment }. */
  of(scan) {
    const entry = this.entries.get(scan.scan);
    return entry && ["", scan.result].includes(entry.result) ? entry : { verdict: "", comment: "" };
  }

  /** A verdict on an earlier result of the scan, which does not count. */
  earlier(scan) {
    const entry = this.entries.get(scan.scan);
    return entry && entry.verdict && !["", scan.result].includes(entry.result) ? entry : null;
  }

  /** Change a scan's verdict, comment or both. */
  set(scan, change) {
    const before = this.of(scan);
    const { verdict, comment } = { ...before, ...change };
    if (verdict === before.verdict && comment === before.comment) return;
    this.steps.push([scan.scan, this.entries.get(scan.scan), this.unsaved.has(scan.scan)]);
    const when = new Date().toISOString().replace(/\.\d+/, "");
    const beside = this.entries.get(scan.scan)?.beside ?? {};
    this.entries.set(scan.scan, { verdict, comment, when, result: scan.result, beside });
    this.unsaved.add(scan.scan);
    this.keep();
  }

  /** Take back the last change; gives its scan, or null. */
  undo() {
    const step = this.steps.pop();
    if (step === undefined) return null;
    const [name, entry, wasUnsaved] = step;
    if (entry === undefined) this.entries.delete(name);
    else this.entries.set(name, entry);
    if (wasUnsaved || (entry === undefined && DATA.verdicts[name])) this.unsaved.add(name);
    else this.unsaved.delete(name);
    this.keep();
    return BY_NAME.get(name) ?? null;
  }

  /** Take over the verdicts of a file where they are later than those here; gives their number. */
  takeOver(found) {
    let count = 0;
    for (const [scan, entry] of found) {
      const own = this.entries.get(scan);
      const [first, last] = own && own.when > entry.when ? [entry, own] : [own, entry];
      const merged = { ...last, beside: { ...first?.beside, ...last.beside } };
      const said = ({ verdict, comment, beside }) => JSON.stringify([verdict, comment, beside ?? {}]);
      if (own && said(own) === said(merged)) continue;
      this.entries.set(scan, merged);
      this.unsaved.add(scan);
      count += 1;
    }
    this.steps = [];
    this.keep();
    return count;
  }

  /** The text of review.csv: all that was said, of scans that are not on the page too. Added columns stay. */
  csv() {
    const said = [...this.entries].filter(([, entry]) => entry.verdict || entry.comment);
    said.sort(([a], [b]) => (a < b ? -1 : 1));
    const added = [...new Set(said.flatMap(([, entry]) => Object.keys(entry.beside ?? {})))];
    const rows = said.map(([scan, entry]) => [
      ...[scan, entry.verdict, entry.comment, entry.when, entry.result],
      ...added.map((name) => entry.beside?.[name] ?? ""),
    ]);
    return csvText([[...REVIEW_COLUMNS, ...added], ...rows]);
  }

  /** To be called when review.csv was saved. */
  saved() {
    this.unsaved.clear();
    this.keep();
  }
}

/** Save review.csv where the reviewer wants it; without such a dialog, among the downloads. */
async function saveCsv(text) {
  const name = "review.csv";
  if (window.showSaveFilePicker) {
    try {
      const file = await window.showSaveFilePicker({ id: "hipposeg-review", suggestedName: name });
      const stream = await file.createWritable();
      await stream.write(text);
      await stream.close();
      return "Saved.";
    } catch (error) {
      if (error.name === "AbortError") return null;
    }
  }
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return "review.csv is among your downloads: move it into the folder of this page.";
}
