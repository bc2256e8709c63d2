// Saying pass or fail, wherever a scan is shown.

/** Two buttons that show and change the verdict on the scan of `scanOf()`; call `update` after a change. */
function verdictButtons(scanOf) {
  const button = (verdict, key) =>
    make(
      "button",
      {
        type: "button",
        class: `verdict ${verdict}`,
        tabindex: "-1",
        title: `${VERDICT_WORDS[verdict]} (key ${key})`,
        onclick: (event) => {
          event.stopPropagation();
          const scan = scanOf();
          select(scan);
          judge(scan, verdicts.of(scan).verdict === verdict ? "" : verdict);
        },
      },
      make("span", { "aria-hidden": "true" }, VERDICT_SIGNS[verdict]),
      ` ${VERDICT_WORDS[verdict]}`,
    );
  const box = make("span", { class: "verdicts", role: "group", "aria-label": "Verdict" });
  box.append(button("pass", "P"), button("fail", "F"));
  box.update = () => {
    const { verdict } = verdicts.of(scanOf());
    [...box.children].forEach((child, i) => child.setAttribute("aria-pressed", verdict === ["pass", "fail"][i]));
  };
  return box;
}

/** Enter a verdict ("" takes it back). */
function judge(scan, verdict) {
  verdicts.set(scan, { verdict });
  announce(`${scan.scan}: ${VERDICT_WORDS[verdict].toLowerCase()}. U takes it back.`);
}

/** Judge the selected scan and go on to the one after it. */
function judgeAndGoOn(verdict) {
  const scan = selected();
  if (scan === null) return;
  const next = neighbour(1); // found before, for the filters may take the judged one away
  judge(scan, verdict);
  if (next !== null && next !== scan) select(next);
}

function undo() {
  const scan = verdicts.undo();
  if (scan === null) return announce("There is nothing to take back.");
  if (shown.includes(scan)) select(scan);
  announce(`Taken back: ${scan.scan}.`);
}
