// The list of variables of a rule: `REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/|ARGS_NAMES|&TX:x`.

import { Pattern } from '../matcher/pattern.ts'
import { RuleSyntaxError } from './lines.ts'
import type { Place, Target } from './rule.ts'

/** What the engine can give (engine/variables.ts). */
export const collections: ReadonlySet<string> = new Set(
  (
    'ARGS ARGS_NAMES ARGS_GET ARGS_GET_NAMES ARGS_POST ARGS_POST_NAMES ARGS_COMBINED_SIZE QUERY_STRING REMOTE_ADDR ' +
    'REMOTE_HOST REQUEST_METHOD REQUEST_LINE REQUEST_URI REQUEST_URI_RAW REQUEST_FILENAME REQUEST_BASENAME REQUEST_PROTOCOL ' +
    'REQUEST_HEADERS REQUEST_HEADERS_NAMES REQUEST_COOKIES REQUEST_COOKIES_NAMES REQUEST_BODY REQUEST_BODY_LENGTH ' +
    'REQBODY_PROCESSOR REQBODY_ERROR REQBODY_ERROR_MSG REQBODY_PROCESSOR_ERROR REQBODY_PROCESSOR_ERROR_MSG ' +
    'MULTIPART_STRICT_ERROR MULTIPART_UNMATCHED_BOUNDARY MULTIPART_PART_HEADERS MULTIPART_NAME MULTIPART_FILENAME ' +
    'FILES FILES_NAMES FILES_SIZES FILES_COMBINED_SIZE XML TX MATCHED_VAR MATCHED_VAR_NAME MATCHED_VARS ' +
    'MATCHED_VARS_NAMES UNIQUE_ID RESPONSE_STATUS RESPONSE_PROTOCOL RESPONSE_HEADERS RESPONSE_HEADERS_NAMES RESPONSE_BODY ' +
    'RESPONSE_CONTENT_LENGTH RESPONSE_CONTENT_TYPE INBOUND_DATA_ERROR OUTBOUND_DATA_ERROR DURATION SERVER_NAME PATH_INFO'
  ).split(' '),
)

/** Known, and always empty: what they would need is left out on purpose. */
export const emptyCollections: ReadonlySet<string> = new Set([
  'IP',
  'GEO',
  'SESSION',
  'USER',
  'GLOBAL',
  'RESOURCE',
  'ENV',
])

export interface Targets {
  readonly targets: readonly Target[]
  readonly without: readonly Target[]
}

export function readTargets(text: string, place: Place): Targets {
  const targets: Target[] = []
  const without: Target[] = []
  for (const piece of pieces(text)) {
    const not = piece.startsWith('!')
    const target = readTarget(not ? piece.slice(1) : piece, place)
    ;(not ? without : targets).push(target)
  }
  return { targets, without }
}

export function readTarget(text: string, place: Place): Target {
  const count = text.startsWith('&')
  const plain = count ? text.slice(1) : text
  const colon = plain.indexOf(':')
  const collection = (colon < 0 ? plain : plain.slice(0, colon)).trim().toUpperCase()
  if (!collections.has(collection) && !emptyCollections.has(collection)) {
    throw new RuleSyntaxError(place, `the variable ${collection} is not supported`)
  }
  let selector = colon < 0 ? '' : plain.slice(colon + 1).trim()
  if (/^'.*'$/s.test(selector)) selector = selector.slice(1, -1)
  if (selector.length > 1 && selector.startsWith('/') && selector.endsWith('/') && collection !== 'XML') {
    return { collection, key: '', pattern: new Pattern(selector.slice(1, -1), true), count }
  }
  return { collection, key: selector.toLowerCase(), pattern: null, count }
}

/** At each `|` outside of quotes and of `:/.../`. */
function pieces(text: string): string[] {
  const found: string[] = []
  let piece = ''
  let quoted = false
  let pattern = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!
    if (pattern && character === '\\') {
      piece += character + (text[at + 1] ?? '')
      at += 1
      continue
    }
    if (character === "'") quoted = !quoted
    else if (character === '/' && !quoted) {
      if (pattern) pattern = false
      else if (text[at - 1] === ':' && !/XML:$/i.test(text.slice(0, at))) pattern = true
    }
    if (character === '|' && !quoted && !pattern) {
      if (piece.trim() !== '') found.push(piece.trim())
      piece = ''
    } else piece += character
  }
  if (piece.trim() !== '') found.push(piece.trim())
  return found
}
