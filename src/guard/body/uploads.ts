// Files of a form: of an allowed type by what they say, by their first bytes and by the ending of their name, all three
// alike; not too large and not too many; without a second type hidden in them. Pure.

import type { CheckedUploads } from '../../file/checked-guard.ts'
import { type BodyFile, invalidUtf8At, readXmlText } from '../../wire/body/index.ts'
import { type BodyRefusal, bodyRefusal } from './failures.ts'
import { canonicalType, fits, hasEnding, isText } from './file-types.ts'

const nameBytesMax = 255
/** Servers run what ends so, some also where it stands before another ending. */
const programs = new Set(
  'asp aspx ashx asmx bat cer cfm cgi cmd com dll exe fcgi hta htaccess htm html inc jar js jsp jspx lnk mjs msi phar php php3 php4 php5 php7 phps pht phtml pl ps1 py rb scr sh shtml svgz swf user.ini vbs war web.config wsf xhtml'.split(
    ' ',
  ),
)
/** What turns a picture into a page or a program. */
const hidden = ['<?php', '<script', '<?=`', '<%@']

/** @param text The whole body, a character a byte. Null: all of them pass. */
export function judgeUploads(
  files: readonly BodyFile[],
  text: string,
  uploads: CheckedUploads,
): BodyRefusal | null {
  // What browsers send for an input that is left empty.
  const real = files.filter(file => file.name !== '' || file.to > file.from)
  if (real.length > uploads.countMax)
    return bodyRefusal(
      'uploadsTooMany',
      'upload:count',
      `The upload has ${real.length} files, of at most ${uploads.countMax}.`,
      `At most ${uploads.countMax} files.`,
    )
  for (const file of real) {
    const refusal = judgeFile(file, text, uploads)
    if (refusal !== null) return refusal
  }
  return null
}

function judgeFile(file: BodyFile, text: string, uploads: CheckedUploads): BodyRefusal | null {
  const { from, to } = file
  if (to - from > uploads.bytesMax)
    return bodyRefusal(
      'uploadTooLarge',
      'upload:size',
      `A file has ${to - from} bytes, of at most ${uploads.bytesMax}.`,
      `At most ${uploads.bytesMax} bytes a file.`,
    )
  const type = canonicalType(file.type)
  if (!isAllowed(type, uploads.types))
    return refused(
      'type',
      'Its declared type is not allowed.',
      `One of ${uploads.types.join(', ') || 'none'}.`,
    )
  if (!fits(type, text, from, to))
    return refused('content', 'Its first bytes are not those of its type.', `A file that is ${type}.`)
  const name = judgeName(file.name, type)
  if (name !== null) return refused('name', name, 'A plain file name with the ending of its type.')
  return judgeInside(type, text, from, to)
}

function refused(rule: string, text: string, would: string): BodyRefusal {
  return bodyRefusal('uploadType', `upload:${rule}`, text, would)
}

/** `image/*` is no SVG: that is a page with scripts, and must be named. */
function isAllowed(type: string, allowed: readonly string[]): boolean {
  return allowed.some(one => {
    if (canonicalType(one.toLowerCase()) === type) return true
    return one.endsWith('/*') && type.startsWith(one.slice(0, -1)) && type !== 'image/svg+xml'
  })
}

/** What is wrong with it as a name of a file; null: nothing. */
function judgeName(name: string, type: string): string | null {
  if (name === '' || name.length > nameBytesMax) return 'Its name is missing or too long.'
  if (/[\\/:*?"<>|]/.test(name) || name.includes('..')) return 'Its name has characters of a path.'
  if (/^[. ]|[. ]$/.test(name)) return 'Its name begins or ends with a dot or a blank.'
  const [, ...endings] = name.toLowerCase().split('.')
  if (endings.some(ending => programs.has(ending))) return 'Its name has the ending of a program.'
  // Programs that make files of memory name them `blob`.
  const ending = endings.at(-1)
  if (ending === undefined) return name === 'blob' ? null : 'Its name has no ending.'
  return hasEnding(type, ending) ? null : 'The ending of its name is not that of its type.'
}

function judgeInside(type: string, text: string, from: number, to: number): BodyRefusal | null {
  const would = 'A file without scripts in it.'
  if (type === 'image/svg+xml') return judgePicture(text.slice(from, to))
  if (isText(type)) {
    const bad = invalidUtf8At(text, from, to) >= 0 || text.slice(from, to).includes('\x00')
    return bad ? refused('content', 'It is not text in UTF-8.', `A file that is ${type}.`) : null
  }
  if (!type.startsWith('image/')) return null
  const inside = text.slice(from, to)
  const found = hidden.find(one => inside.includes(one))
  return found === undefined ? null : refused('hidden', 'A program or script stands in the picture.', would)
}

/** Drawn by browsers as a page: no scripts, no handlers, no foreign contents. */
function judgePicture(text: string): BodyRefusal | null {
  const read = readXmlText(text)
  if ('problem' in read) return refused('content', `${read.text} (in the picture)`, 'A plain SVG picture.')
  const active =
    /<(?:[\w.-]{1,32}:)?(?:script|foreignobject|iframe|embed|object|handler|listener)[\s/>]|[\s"'/]on[a-z]{1,32}\s{0,8}=/i
  const linked = read.xmlAttributes.some(isScriptLink)
  return active.test(text) || linked
    ? refused('hidden', 'A script stands in the picture.', 'An SVG picture without scripts.')
    : null
}

/** Anywhere in it: lists of values are animated through. */
function isScriptLink(value: string): boolean {
  const packed = value.replace(/[\x00-\x20]+/g, '').toLowerCase()
  return /(?:java|vb)script:|data:(?!image\/(?:png|jpeg|gif|webp)[;,])/.test(packed)
}
