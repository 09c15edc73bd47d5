page => {
  // What none of our pages has: elements and attributes that run, load, post or lead elsewhere.
  const never = "iframe, frame, object, embed, base, svg, math, style, template, noscript, audio, video, source, " +
    "portal, marquee, meta[http-equiv], body *[style]";
  const attributes = ["srcdoc", "srcset", "ping", "background", "autofocus"];
  const addresses = ["src", "action", "formaction", "data-load", "data-events"];
  const schemes = ["http:", "https:", "mailto:"];
  const ours = address => address.startsWith("/") && !address.startsWith("//") && !address.startsWith("/\\");
  const asset = (element, name) => (element.getAttribute(name) ?? "").startsWith("/static/");
  const strange = element =>
    element.matches(never) ||
    element.getAttributeNames().some(name => name.startsWith("on") || attributes.includes(name)) ||
    addresses.some(name => element.hasAttribute(name) && !ours(element.getAttribute(name))) ||
    element.localName === "script" && !asset(element, "src") ||
    element.localName === "link" && !asset(element, "href") ||
    element.localName === "a" && !schemes.includes(new URL(element.getAttribute("href"), location).protocol);
  return [...page.querySelectorAll("*")].filter(strange).map(element => element.outerHTML.slice(0, 200));
}
