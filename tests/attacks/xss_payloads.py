"""Sixty texts that try to become more than text: those of the pages' own tests, and as many again.

What runs sets `window.pwned`; what loads or posts goes to `example.invalid`.
"""

from __future__ import annotations

from tests.companion_web.payloads import XSS

_MORE = (
    "</title><script>window.pwned=1</script>",
    "</textarea><script>window.pwned=1</script>",
    "</pre></summary></details></article></main><script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "--><script>window.pwned=1</script><!--",
    "]]><script>window.pwned=1</script><![CDATA[",
    "<script src=https://example.invalid/x.js></script>",
    "<script type=module>import 'https://example.invalid/x.js'</script>",
    "<link rel=stylesheet href=https://example.invalid/x.css>",
    "<link rel=prefetch href=https://example.invalid/leak>",
    "<object data=https://example.invalid/x></object><embed src=https://example.invalid/x>",
    "<video src=x onerror=window.pwned=1></video><audio src=x onerror=window.pwned=1></audio>",
    "<svg><animate onbegin=window.pwned=1 attributeName=x dur=1s></svg>",
    "<svg><a xlink:href='javascript:window.pwned=1'><text y=20>press</text></a></svg>",
    "<svg><style><img src=x onerror=window.pwned=1></style></svg>",
    "<input autofocus onfocus=window.pwned=1><button formaction=javascript:window.pwned=1>press</button>",
    "<body onload=window.pwned=1><marquee onstart=window.pwned=1>x</marquee>",
    "<div style='background:url(https://example.invalid/x);animation:x' onanimationstart=window.pwned=1>",
    "<img srcset='https://example.invalid/x.png 1x'><picture><source srcset=https://example.invalid/y>",
    "<IMG SRC=x ONERROR=window.pwned=1//><ScRiPt>window.pwned=1</sCrIpT>",
    "<img/src/onerror=window.pwned=1><script/x>window.pwned=1</script/x>",
    "<\x00script>window.pwned=1</\x00script><scr\x00ipt>window.pwned=1</script>",
    '" onmouseover=window.pwned=1 style=position:fixed;inset:0 x="',
    "x' onclick='window.pwned=1' x='x\" onclick=\"window.pwned=1",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;&#60;script&#62;window.pwned=1&#60;/script&#62;",
    "[x](vbscript:window.pwned=1) [x](java\tscript:window.pwned=1) [x](&#106;avascript:window.pwned=1)",
    "[press](https://example.invalid/'onmouseover='window.pwned=1 \"title' onclick='window.pwned=1\")",
    '<https://example.invalid/"onmouseover="window.pwned=1> <x@example.invalid"onclick="window.pwned=1>',
)

PAYLOADS = (*XSS, *_MORE)
