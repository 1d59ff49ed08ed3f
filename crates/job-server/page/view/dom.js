// Elements of the document. Texts become text nodes, never markup.

/** Returns the element with an id. */
export const $ = id => document.getElementById(id);

/** Creates an element. Attributes that are `null`, `undefined` or `false` are left out. */
export function el(name, attributes = {}, ...children) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key in one && typeof value !== "string") one[key] = value;
    else one.setAttribute(key, value);
  }
  one.append(...children.filter(child => child !== null && child !== undefined));
  return one;
}

/** Creates an element for a text of the server, which has its own direction. */
export function foreign(name, attributes = {}, ...children) {
  return el(name, { dir: "auto", ...attributes }, ...children);
}

/** Sets the text of an element, unless it has this text already. */
export function setText(one, text) {
  if (one.textContent !== text) one.textContent = text;
}

/** Sets an attribute of an element, or removes it if the value is `null`. */
export function setAttribute(one, name, value) {
  if (value === null) one.removeAttribute(name);
  else if (one.getAttribute(name) !== value) one.setAttribute(name, value);
}
