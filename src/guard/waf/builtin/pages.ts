// Injection into pages and templates: scripts, handlers, links that are scripts; expressions of template engines.

import { anyOf, type BuiltinRule, entities, inputs, page, plain } from './write.ts'

const danger = '(?:alert|confirm|prompt|eval|settimeout|setinterval|msgbox|execscript|print|expression|open)'

export const pageRules: readonly BuiltinRule[] = [
  {
    id: 9000200,
    message: 'Script injection by the grammar of HTML',
    tag: 'xss',
    targets: `${inputs}|REQUEST_HEADERS:User-Agent|FILES`,
    transformations: [
      'utf8toUnicode',
      'urlDecodeUni',
      'urlDecodeUni',
      'htmlEntityDecode',
      'jsDecode',
      'cssDecode',
      'removeNulls',
    ],
    operator: '@detectXSS',
    score: 5,
  },
  {
    id: 9000210,
    message: 'HTML that runs scripts',
    tag: 'xss',
    targets: `${inputs}|REQUEST_HEADERS:User-Agent|FILES`,
    transformations: entities,
    operator: anyOf(
      String.raw`<\s*/?\s*(?:[a-z]+:)?script(?:[\s/>:\x3c=]|$)`,
      String.raw`<[a-z!/?][^>]{0,400}[\s\x22'/\x60]on[a-z]{3,25}[\s\x0b\x0c]*=`,
      String.raw`<\s*(?:iframe|object|embed|applet|frameset|frame|isindex|bgsound|portal|i?layer)(?:[\s/>]|$)`,
      String.raw`<meta[^>]{0,100}http-equiv|<base[\s/][^>]{0,100}href|<link[\s/][^>]{0,100}(?:rel\s*=\s*['\x22]?(?:import|stylesheet)|javascript:)|<style[^>]{0,50}>[^<]{0,300}(?:@import|expression|url\s*\(|behaviou?r|-moz-binding|javascript)|\bsrcdoc\s*=|<(?:svg|math)[\s/][^>]{0,300}(?:on[a-z]|href)|<svg[^>]{0,200}>\s*<(?:script|animate|set|use|foreignobject|image|a|style)\b|<(?:button|input|form)[^>]{0,200}formaction|<\?import\b|<xss\b|<xml\s[^>]{0,60}(?:src|id)\s*=`,
      String.raw`\bstyle\s*=\s*[^>]{0,200}(?:expression\s*\(|-moz-binding|behaviou?r\s*:|javascript\s*:|url\s*\(\s*['\x22]?\s*(?:javascript|data)\s*:)`,
      String.raw`^[^<>]{0,30}['\x22]\s*/?>\s*<\s*[a-z!/]|^\s*-->|^\s*\*/\s*<|</(?:title|textarea|style|script|noscript|xmp|plaintext)\s*>\s*<|<img[\s/]+[^>]{0,100}(?:src\s*=\s*['\x22\x60]?\s*(?:javascript|vbscript|x(?:\s|'|\x22|:)|[^a-z0-9'\x22/.\s]))`,
      String.raw`\+adw-|\+ad4-|\x3c\xbc|\xbcscript`,
    ),
    score: 5,
  },
  {
    id: 9000211,
    message: 'A link that is a script',
    tag: 'xss',
    targets: inputs,
    transformations: [...page.slice(0, -1), 'removeWhitespace'],
    operator: anyOf(
      String.raw`(?:^|[=('\x22\x60,>])['\x22\x60]?(?:java|vb|live|j|ecma)script:(?:[\w.$\[\]]{1,60}[(=\x60]|//|/\*|['\x22\[(&\x60+!-])`,
      String.raw`(?:^|[=('\x22,])data:(?:text/(?:html|xml|javascript|ecmascript)|application/(?:x-)?(?:javascript|xhtml\+xml|xml))[,;]`,
      String.raw`(?:^|[=('\x22])data:image/svg\+xml[^,]{0,40},(?:%3c|<|phn2zy)|mocha:|livescript:|feed:javascript:|view-source:javascript`,
    ),
    score: 5,
  },
  {
    id: 9000212,
    message: 'Script where text is expected',
    tag: 'xss',
    targets: `${inputs}|REQUEST_HEADERS:User-Agent`,
    transformations: page,
    operator: anyOf(
      String.raw`(?:^|[^\w.])${danger}\s*(?:\(|\x60)\s*(?:['\x22\x60/]?\s*(?:xss|x7|hacked|\d{1,6}\b)|document\b|window\.|location\b|string\.fromcharcode|unescape\s*\(|atob\s*\(|decodeuri|self\b|this\.|top\b|origin\b|name\s*\))`,
      String.raw`['\x22\x60;)}\]]\s*[-+*/;,^|&)}]{1,3}\s*(?:\(?\s*)${danger}\s*[)(\x60]|\(\s*${danger}\s*\)\s*[(\x60]|\b${danger}\s*\.\s*(?:call|apply|bind)\s*[(\x60]|\b(?:set(?:timeout|interval)|function|eval)\s*\(\s*['\x22\x60][^'\x22\x60]{0,100}(?:alert|document|eval|location)`,
      String.raw`\bstring\.fromcharcode\s*\(\s*\d|\b(?:window|self|top|parent|globalthis|frames|this)\s*\[\s*['\x22\x60/(]|\[\s*\]\s*\[\s*['\x22(]|\(!\[\]\+|\bconstructor\s*(?:\.|\[\s*['\x22])\s*constructor|\.constructor\s*\(\s*['\x22\x60]|\breflect\.(?:construct|apply|get)\s*\(|\bimport\s*\(\s*['\x22\x60](?:https?:)?//|\bnew\s+function\s*\(`,
      String.raw`\b(?:document\s*\.\s*cookie|document\s*\.\s*write(?:ln)?|localstorage|sessionstorage)\b[^\n]{0,80}(?:https?:|//|location|fetch|<img|new\s+image|\+)|(?:location|window\.open|fetch|new\s+image|xmlhttprequest|sendbeacon)[^\n]{0,80}document\s*\.\s*cookie|\blocation(?:\.href)?\s*=\s*['\x22\x60](?:javascript|//|https?:)|\.innerhtml\s*=`,
      String.raw`['\x22\x60]\s*[\s/]+(?:on[a-z]{4,20}|autofocus|accesskey)\s*=|^['\x22]\s*on[a-z]{4,20}\s*=|^\s*on[a-z]{4,20}\s*=\s*\w{1,20}[(\x60]`,
    ),
    score: 5,
  },
  {
    id: 9000213,
    message: 'Script that may be harmless',
    tag: 'xss',
    targets: inputs,
    transformations: page,
    operator: anyOf(
      String.raw`\bdocument\s*\.\s*(?:cookie|domain|location|write|referrer)\b|(?:^|[^\w.])(?:alert|confirm|prompt|eval)\s*(?:\(|\x60)\s*['\x22/\x60]`,
    ),
    score: 3,
  },
  {
    id: 9000220,
    message: 'An expression of a template engine',
    tag: 'ssti',
    targets: inputs,
    transformations: plain,
    operator: anyOf(
      String.raw`\{\{[^}]{0,200}(?:\bconstructor\b|\$(?:on|eval|new|root)\b|\balert\b|\.charat\b|__\w+__|\bconfig\b[.\[|(}]|\bself\._|\brequest\.(?:application|args|environ)|\blipsum\b|\bcycler\b|\bjoiner\b|popen|getruntime|\bsystem\b\s*[('\x22|]|\bexec\b|\bregisterundefinedfiltercallback|\bfilter\s*\(|\|\s*(?:attr|safe|map|sort|reduce|filter)\b|\bapp\.request|_self\b|\bdump\s*\(|\brange\s*\(|\b\d+\s*[*+/-]\s*['\x22]?\d)`,
      String.raw`\{\{\s*['\x22]?\d+['\x22]?\s*[*+/-]|\{\{=|\{\{\s*['\x22]{2}\s*\.|\{\{\s*\[\s*\]\s*\.|\{\{\s*\(\)|\{\{#with\b`,
      String.raw`[$#*@~]\{\s*(?:\(?\s*\d+\s*[*+/-]\s*['\x22]?\d+|t\s*\(|[\w.'\x22()\[\]]{0,60}\.?(?:getclass|forname|getruntime|exec)\s*\(|[\w.]{0,40}runtime\b|@java|#\w+\s*=|\x22\x22\.|''\.|new\s+java|java\.|facescontext|pagecontext|applicationscope|sessionscope|param\.\w|system\s*\(|ifs\b|self\.|\w+\.class\b)`,
      String.raw`<%=?\s*(?:\d+\s*[*+]\s*\d|system\b|exec\b|file\b|io\.|\x60|dir\b|global|require|request|out\.|eval|response\.|runtime|import\b|@\s*page)|<%@|#\{\s*(?:\d+\s*[*]|system|exec|file|global|io\.|\x60)`,
      String.raw`\{%-?\s*(?:for|if|set|import|include|print|extends|with|macro)\b[^%]{0,200}(?:__|\bconfig\b|\bself\b|\brequest\b|popen|\bmro\b|subprocess|os\.|\d\s*\*\s*\d)|\{%\s*(?:debug|import\s+os|load_setting)|#set\s*\(\s*\$|\$class\.inspect|<#assign\b|freemarker\.template|\?new\s*\(|\{php\}|\{(?:if|system|exec|literal)\s*[( ][^}]{0,60}(?:phpinfo|system|exec|passthru)|\{smarty\.|\{\$smarty|@\(\s*\d+\s*[*+]\s*\d+\s*\)|\[\[\s*\$\{|__\$\{|\{\{\{|\$\{\{`,
      String.raw`__(?:class|mro|subclasses|globals|builtins|import|base|bases|reduce|getattribute)__`,
    ),
    score: 5,
  },
]
