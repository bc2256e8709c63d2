// The gallery: the pictures, worst first.

/** Smallest width of a card in pixels for each size of pictures. */
const CARD_WIDTHS = { small: 420, medium: 580, large: 1000 };
/** Of the picture the two rows of panels are shown; title and remarks, which the card says in words, are cut off. */
const PICTURE_RATIO = (716 - 80) / 1640;
const CARD_TEXT = 92;
const GAP = 12;

function cardLayout(width) {
  const columns = Math.max(1, Math.floor((width - GAP) / CARD_WIDTHS[byId("size").value]));
  const card = (width - GAP) / columns;
  return { columns, width: card, height: Math.round((card - GAP) * PICTURE_RATIO) + CARD_TEXT + GAP, top: GAP };
}

/** A card, to be filled with one scan after the other. */
function makeCard() {
  let scan = null;
  const picture = make("div");
  const buttons = verdictButtons(() => scan);
  const [name, status] = [make("h2"), make("span")];
  const measured = make("div", { class: "line measured" });
  const flags = make("span", { class: "flags" });
  const note = make("span", { class: "note", dir: "auto" });
  const lines = [make("div", { class: "line" }, name, status, buttons), measured, make("div", { class: "line" }, flags, note)];
  const card = make("div", { class: "card" }, picture, ...lines);
  const article = make("article", { class: "cell", tabindex: "-1" }, card);
  article.addEventListener("click", () => select(scan));
  article.addEventListener("dblclick", () => openViewer(scan));
  picture.addEventListener("click", () => openViewer(scan));
  article.fill = (other) => {
    scan = other;
    article.setAttribute("aria-label", scan.scan);
    picture.className = scan.failure ? "picture none" : "picture";
    picture.replaceChildren(...(scan.failure ? [reason(scan)] : []));
    name.replaceChildren(bdi(scan.scan));
    status.replaceChildren(statusBadge(scan));
    measured.textContent = scan.failure ? `Reason: ${scan.failure[0]}` : summary(scan);
    flags.replaceChildren(...flagChips(scan));
    article.update();
  };
  article.update = () => {
    const { verdict, comment } = verdicts.of(scan);
    card.dataset.verdict = verdict;
    note.textContent = comment || (verdicts.earlier(scan) ? "judged before: another result" : "");
    note.title = note.textContent;
    markSelected(article, scan);
    buttons.update();
  };
  return article;
}

/** Show whether an element's scan is the selected one; the Tab key reaches only that. */
function markSelected(element, scan) {
  const isSelected = scan === selected();
  element.tabIndex = isSelected ? 0 : -1;
  element.toggleAttribute("data-selected", isSelected);
  element.setAttribute("aria-current", isSelected);
}

function reason(scan) {
  return make("p", { class: "reason" }, make("strong", {}, "No result. "), scan.failure[1]);
}

/** A chip for each code, with its sides. */
function flagChips(scan) {
  const codes = [...new Set(scan.flags.map((flag) => flag.code))];
  return codes.map((code) => {
    const flags = scan.flags.filter((flag) => flag.code === code);
    const severity = flags.some((flag) => flag.severity === "warning") ? "warning" : "info";
    const sides = flags.map((flag) => flag.side).filter(Boolean).join(", ");
    const title = flags.map((flag) => flag.message).join("\n");
    return make("span", { class: `chip ${severity}`, title }, (severity === "warning" ? "! " : "") + code + (sides && ` (${sides})`));
  });
}

/** The picture of a scan, or words where it has none. */
function pictureOf(scan) {
  const missing = () => make("p", { class: "reason" }, scan.picture ? "The picture is not beside this page." : "There is no picture.");
  if (scan.picture === null) return scan.failure ? null : missing();
  const image = make("img", { src: addressOf(scan.picture), alt: `Outlines of ${scan.scan}: ${summary(scan)}`, decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(missing()));
  return image;
}

function makeGallery() {
  return new VirtualList({
    scroller: byId("gallery"),
    layout: cardLayout,
    create: makeCard,
    count: (article, place, number) => {
      article.setAttribute("aria-posinset", place);
      article.setAttribute("aria-setsize", number);
    },
    settled: (article, scan) => {
      const image = pictureOf(scan);
      if (image) article.querySelector(".picture").append(image);
    },
    removed: (article) => {
      article.querySelector("img")?.removeAttribute("src"); // stops the loading
      article.querySelector(".picture").replaceChildren();
    },
  });
}
