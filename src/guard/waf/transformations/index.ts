// The transformations of rule sets by name. Each is a function of one byte string; a rule applies a list of them, and
// what lists have in common is computed once a value (engine/value.ts).

import { createHash } from 'node:crypto'
import * as decode from './decode.ts'
import * as normalise from './normalise.ts'

export type Transformation = (text: string) => string

function hash(name: 'sha1' | 'md5'): Transformation {
  return text => createHash(name).update(text, 'latin1').digest().latin1Slice()
}

/** By lower-case name: rule files spell them as they like. */
export const transformations: Readonly<Record<string, Transformation>> = {
  base64decode: decode.base64Decode,
  base64decodeext: decode.base64DecodeExt,
  base64encode: decode.base64Encode,
  cmdline: normalise.cmdLine,
  compresswhitespace: normalise.compressWhitespace,
  cssdecode: decode.cssDecode,
  escapeseqdecode: decode.escapeSeqDecode,
  hexdecode: decode.hexDecode,
  hexencode: text => Buffer.from(text, 'latin1').toString('hex'),
  htmlentitydecode: decode.htmlEntityDecode,
  jsdecode: decode.jsDecode,
  length: text => String(text.length),
  lowercase: normalise.lowercase,
  md5: hash('md5'),
  normalisepath: normalise.normalizePath,
  normalisepathwin: normalise.normalizePathWin,
  normalizepath: normalise.normalizePath,
  normalizepathwin: normalise.normalizePathWin,
  removecomments: normalise.removeComments,
  removecommentschar: normalise.removeCommentsChar,
  removenulls: normalise.removeNulls,
  removewhitespace: normalise.removeWhitespace,
  replacecomments: normalise.replaceComments,
  replacenulls: normalise.replaceNulls,
  sha1: hash('sha1'),
  sqlhexdecode: decode.sqlHexDecode,
  trim: normalise.trim,
  trimleft: normalise.trimLeft,
  trimright: normalise.trimRight,
  uppercase: normalise.uppercase,
  urldecode: decode.urlDecode,
  urldecodeuni: decode.urlDecodeUni,
  urlencode: decode.urlEncode,
  utf8tounicode: decode.utf8toUnicode,
}
