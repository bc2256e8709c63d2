// One scan, as large as the window allows, with all that is known of it.

let viewed = null;

function openViewer(scan) {
  select(scan);
  const dialog = byId("viewer");
  if (!dialog.open) dialog.showModal();
  showInViewer(scan);
}

/** Show another scan in the viewer, if it is open. */
function showInViewer(scan) {
  if (!byId("viewer").open) return;
  leaveComment();
  viewed = scan;
  byId("viewer-name").replaceChildren(bdi(scan.scan));
  byId("viewer-status").replaceChildren(statusBadge(scan));
  byId("viewer-picture").replaceChildren(...[scan.failure ? reason(scan) : null, pictureOf(scan)].filter(Boolean));
  byId("viewer-remarks").replaceChildren(...scan.flags.map(remark));
  byId("viewer-no-remarks").hidden = scan.flags.length > 0 || scan.failure !== null;
  byId("viewer-comparison").hidden = scan.comparison.length === 0;
  byId("viewer-comparison").lastElementChild.replaceChildren(...scan.comparison.map((line) => make("li", {}, line)));
  byId("viewer-verdict").replaceChildren(verdictButtons(() => scan));
  byId("viewer-values").replaceChildren(...measures(scan));
  byId("viewer-report").hidden = scan.report === null;
  if (scan.report !== null) byId("viewer-report").href = addressOf(scan.report);
  showComment();
  updateViewer();
}

/** Show what has become of the verdict. */
function updateViewer() {
  if (viewed === null || !byId("viewer").open) return;
  byId("viewer-verdict").firstChild?.update();
  if (document.activeElement !== byId("comment")) showComment();
  byId("viewer-place").textContent = `${shown.indexOf(viewed) + 1 || "–"} of ${shown.length}`;
  const earlier = verdicts.earlier(viewed);
  byId("viewer-earlier").hidden = earlier === null;
  const said = earlier && [`An earlier result of this scan was judged: ${VERDICT_WORDS[earlier.verdict].toLowerCase()}`, earlier.comment];
  byId("viewer-earlier").textContent = said ? said.filter(Boolean).join(". ") : "";
}

function remark(flag) {
  const kind = flag.severity === "warning" ? "! Warning" : "Note";
  return make("li", { class: flag.severity }, make("strong", {}, `${kind}, ${flagName(flag)}: `), flag.message);
}

/** Terms and values of the measured columns and of what else is known. */
function measures(scan) {
  const pair = (term, value) => [make("dt", {}, term), make("dd", {}, bdi(value))];
  const measured = DATA.columns.filter(({ name }) => valueOf(scan, name) !== null);
  const facts = Object.entries(scan.facts).map(([name, value]) => pair(name[0].toUpperCase() + name.slice(1), value));
  return [
    ...measured.map((column) => pair(column.title, `${shownValue(scan, column.name)} ${column.unit}`.trim())),
    ...facts,
  ].flat();
}

/** Write a comment on the selected scan. */
function writeComment() {
  const scan = selected();
  if (scan === null) return;
  openViewer(scan);
  byId("comment").focus();
}

function showComment() {
  const field = byId("comment");
  field.value = verdicts.of(viewed).comment;
  field.defaultValue = field.value; // as the field shows it: with its own ends of lines
}

/** Take over what stands in the comment's field, if it was changed. */
function leaveComment() {
  const field = byId("comment");
  if (viewed !== null && field.value !== field.defaultValue) verdicts.set(viewed, { comment: field.value.trim() });
}

function startViewer() {
  const field = byId("comment");
  field.addEventListener("blur", leaveComment);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") field.value = field.defaultValue;
    if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
      event.preventDefault();
      event.stopPropagation();
      byId("viewer-picture").focus(); // which takes it over
    }
  });
  byId("viewer").addEventListener("close", () => {
    leaveComment();
    viewed = null;
    focusSelected();
  });
  byId("viewer-previous").addEventListener("click", () => step(-1));
  byId("viewer-next").addEventListener("click", () => step(1));
  byId("viewer-close").addEventListener("click", () => byId("viewer").close());
}
