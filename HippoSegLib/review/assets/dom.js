// Making elements. Text enters the page as text only, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The element of this id. */
function byId(id) {
  return document.getElementById(id);
}

/** An element with properties (`class`, `on…`, `data-…`, `aria-…`, any other attribute) and children. */
function make(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same for a drawing. */
function makeSvg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A name that may be written from right to left, kept apart from the text around it. */
function bdi(text) {
  return make("bdi", { dir: "auto" }, text);
}

/** Tell people who hear the page, and show it for a moment to those who see it. */
function announce(text) {
  const box = byId("message");
  box.textContent = text;
  box.classList.add("shown");
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => box.classList.remove("shown"), 4000);
}
