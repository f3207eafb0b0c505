// The transformations of rule sets by name. Each is a function of one byte string; a rule applies a list of them, and
// what lists have in common is computed once a value (engine/value.ts).

import { createHash } from 'node:crypto'
import { onText, type Transform, type Transformation, trait } from './bytes.ts'
import * as decode from './decode.ts'
import * as normalise from './normalise.ts'

export type { Transformation } from './bytes.ts'
export { isSame, traitsOf, transformed, transformText } from './bytes.ts'

const { percentOrPlus, upper, nul, backslash, ampersand, white, blank, star, high } = trait
const anything = 0

function of(transform: Transform, needs: number): Transformation {
  return { transform, needs }
}

function hash(name: 'sha1' | 'md5'): Transform {
  return onText(text => createHash(name).update(text, 'latin1').digest().latin1Slice())
}

/** By lower-case name: rule files spell them as they like. */
export const transformations: Readonly<Record<string, Transformation>> = {
  base64decode: of(decode.base64Decode, anything),
  base64decodeext: of(decode.base64DecodeExt, anything),
  base64encode: of(decode.base64Encode, anything),
  cmdline: of(
    normalise.cmdLine,
    upper | white | blank | backslash | trait.quote | trait.listMark | trait.caret,
  ),
  compresswhitespace: of(normalise.compressWhitespace, white | blank),
  cssdecode: of(decode.cssDecode, backslash),
  escapeseqdecode: of(decode.escapeSeqDecode, backslash),
  hexdecode: of(decode.hexDecode, anything),
  hexencode: of(decode.hexEncode, anything),
  htmlentitydecode: of(decode.htmlEntityDecode, ampersand),
  jsdecode: of(decode.jsDecode, backslash),
  length: of(
    onText(text => String(text.length)),
    anything,
  ),
  lowercase: of(normalise.lowercase, upper),
  md5: of(hash('md5'), anything),
  normalisepath: of(normalise.normalizePath, anything),
  normalisepathwin: of(normalise.normalizePathWin, anything),
  normalizepath: of(normalise.normalizePath, anything),
  normalizepathwin: of(normalise.normalizePathWin, anything),
  removecomments: of(normalise.removeComments, anything),
  removecommentschar: of(normalise.removeCommentsChar, anything),
  removenulls: of(normalise.removeNulls, nul),
  removewhitespace: of(normalise.removeWhitespace, white | blank),
  replacecomments: of(normalise.replaceComments, star),
  replacenulls: of(normalise.replaceNulls, nul),
  sha1: of(hash('sha1'), anything),
  sqlhexdecode: of(decode.sqlHexDecode, anything),
  trim: of(normalise.trim, white | blank),
  trimleft: of(normalise.trimLeft, white | blank),
  trimright: of(normalise.trimRight, white | blank),
  uppercase: of(normalise.uppercase, trait.lower),
  urldecode: of(decode.urlDecode, percentOrPlus),
  urldecodeuni: of(decode.urlDecodeUni, percentOrPlus),
  urlencode: of(decode.urlEncode, anything),
  utf8tounicode: of(decode.utf8toUnicode, high),
}
