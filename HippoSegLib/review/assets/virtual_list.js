// A list of any length of which only what can be seen is in the page.

/**
 * Items of one height, in rows of one or more columns, in a box that scrolls.
 *
 * options: scroller (the box), layout(width) -> { columns, width, height, top } in pixels, create(scan) -> element,
 * settled(element, scan) called once the element stays in view (for its picture), removed(element).
 */
class VirtualList {
  constructor(options) {
    Object.assign(this, options);
    this.items = [];
    this.elements = new Map(); // scan -> element
    this.waiting = new Set();
    this.space = make("div", { class: "space" });
    this.scroller.append(this.space);
    this.scroller.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(this.scroller);
  }

  /** Show other items, or the same in another order. */
  show(items) {
    this.items = items;
    this.draw();
    this.refresh();
  }

  /** Show what has become of the items in view: their elements have a method `update`. */
  refresh() {
    for (const element of this.elements.values()) element.update();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    const { clientWidth, clientHeight, scrollTop } = this.scroller;
    if (!clientHeight) return; // another view is shown
    const { columns, width, height, top } = this.layout(clientWidth);
    this.shape = { columns, height, top };
    this.space.style.height = `${Math.ceil(this.items.length / columns) * height + top}px`;
    // One row more on either side, so that a picture is there before it comes into view.
    const first = Math.max(0, Math.floor((scrollTop - top) / height) - 1) * columns;
    const last = Math.min(this.items.length, (Math.ceil((scrollTop - top + clientHeight) / height) + 1) * columns);
    const seen = new Set(this.items.slice(first, last));
    for (const scan of [...this.elements.keys()]) if (!seen.has(scan)) this.drop(scan);
    for (let index = first; index < last; index++) {
      const scan = this.items[index];
      const element = this.elements.get(scan) ?? this.add(scan);
      const place = `translate(${(index % columns) * width}px, ${Math.floor(index / columns) * height + top}px)`;
      if (element.style.transform !== place) element.style.transform = place;
      element.style.width = `${width}px`;
      element.style.height = `${height}px`;
      element.setAttribute("aria-posinset", index + 1);
      element.setAttribute("aria-setsize", this.items.length);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settle(), 60);
  }

  add(scan) {
    const element = this.create(scan);
    this.elements.set(scan, element);
    this.waiting.add(scan);
    this.space.append(element);
    return element;
  }

  drop(scan) {
    const element = this.elements.get(scan);
    this.removed?.(element);
    element.remove();
    this.elements.delete(scan);
    this.waiting.delete(scan);
  }

  /** What has stayed in view gets its picture: none is loaded for what only flies by. */
  settle() {
    for (const scan of this.waiting) this.settled?.(this.elements.get(scan), scan);
    this.waiting.clear();
  }

  /** Scroll as little as needed for an item to be seen. */
  reveal(index) {
    if (!this.shape || index < 0) return;
    const { columns, height, top } = this.shape;
    const place = Math.floor(index / columns) * height;
    const { scrollTop, clientHeight } = this.scroller;
    if (place < scrollTop) this.scroller.scrollTop = place;
    else if (place + height + top > scrollTop + clientHeight) this.scroller.scrollTop = place + height + top - clientHeight;
    this.draw();
  }
}
