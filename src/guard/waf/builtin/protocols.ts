// What no honest client sends, whatever the application: tools that say who they are, encodings that no text has, fields
// that would have another page answered than the one that was judged.

import { anyOf, type BuiltinRule } from './write.ts'

export const protocolRules: readonly BuiltinRule[] = [
  {
    id: 9000400,
    message: 'A tool that looks for weaknesses',
    tag: 'scanner',
    targets: 'REQUEST_HEADERS:User-Agent',
    transformations: ['lowercase'],
    operator:
      '@pm sqlmap nikto nessus acunetix wpscan nuclei masscan zgrab dirbuster gobuster feroxbuster wfuzz ffuf havij w3af arachni openvas netsparker jorgee zmeu nmap scripting dirsearch commix wapiti joomscan whatweb skipfish vega/ grabber burpsuite',
    score: 5,
  },
  {
    id: 9000410,
    message: 'A NUL byte',
    tag: 'protocol',
    targets: 'ARGS|ARGS_NAMES|REQUEST_FILENAME|REQUEST_COOKIES|XML:/*|FILES',
    transformations: ['urlDecodeUni'],
    operator: '@validateByteRange 1-255',
    score: 5,
  },
  {
    id: 9000411,
    message: 'An overlong or broken encoding',
    tag: 'protocol',
    targets: 'ARGS|ARGS_NAMES|REQUEST_URI_RAW|REQUEST_COOKIES',
    transformations: ['urlDecode', 'urlDecode'],
    operator: anyOf(
      String.raw`[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]|[\xf8-\xfd][\x80-\xbf]`,
    ),
    score: 5,
  },
  {
    id: 9000412,
    message: 'Letters of another width, encoded as %u',
    tag: 'protocol',
    targets: 'REQUEST_URI_RAW|ARGS|ARGS_NAMES',
    transformations: ['lowercase'],
    operator: String.raw`@rx %u(?:ff0[0-9a-f]|ff[1-5][0-9a-f]|00[2-7][0-9a-f]|2215|2216|efc8|f025)`,
    score: 5,
  },
  {
    id: 9000420,
    message: 'A field that names another page',
    tag: 'protocol',
    targets: 'REQUEST_HEADERS_NAMES',
    transformations: ['lowercase'],
    operator: String.raw`@rx ^x-(?:original-url|rewrite-url|forwarded-path|original-uri)$`,
    score: 5,
  },
]
