// What a file is by its first bytes, and which endings of names belong to a type. A small table: the types that people
// upload. What has no first bytes of its own (text) is known by not being anything else.

interface KnownType {
  readonly type: string
  /** Endings of names that are usual for it. */
  readonly endings: readonly string[]
  /** One of these stands at its place; a dot of a pattern is any byte. Empty: no first bytes of its own. */
  readonly magic: readonly { readonly at: number; readonly bytes: string }[]
}

const type = (
  name: string,
  endings: string,
  ...magic: readonly (string | { readonly at: number; readonly bytes: string })[]
): KnownType => ({
  type: name,
  endings: endings.split(' '),
  magic: magic.map(one => (typeof one === 'string' ? { at: 0, bytes: one } : one)),
})
const brand = (name: string): { at: number; bytes: string } => ({ at: 4, bytes: `ftyp${name}` })

/** More special first: the first that fits is it. */
const types: readonly KnownType[] = [
  type('image/png', 'png', '\x89PNG\r\n\x1a\n'),
  type('image/jpeg', 'jpg jpeg jpe jfif', '\xff\xd8\xff'),
  type('image/gif', 'gif', 'GIF87a', 'GIF89a'),
  type('image/webp', 'webp', 'RIFF....WEBP'),
  type('image/avif', 'avif', brand('avif'), brand('avis')),
  type('image/heic', 'heic', brand('heic'), brand('heix')),
  type('image/heif', 'heif', brand('mif1'), brand('msf1')),
  type('image/bmp', 'bmp', 'BM....\x00\x00\x00\x00'),
  type('image/tiff', 'tif tiff', 'II*\x00', 'MM\x00*'),
  type('image/x-icon', 'ico', '\x00\x00\x01\x00'),
  type('image/svg+xml', 'svg'),
  type('application/pdf', 'pdf', '%PDF-'),
  type('application/zip', 'zip', 'PK\x03\x04', 'PK\x05\x06'),
  type('application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'docx', 'PK\x03\x04'),
  type('application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'xlsx', 'PK\x03\x04'),
  type('application/vnd.openxmlformats-officedocument.presentationml.presentation', 'pptx', 'PK\x03\x04'),
  type('application/vnd.oasis.opendocument.text', 'odt', 'PK\x03\x04'),
  type('application/vnd.oasis.opendocument.spreadsheet', 'ods', 'PK\x03\x04'),
  type('application/epub+zip', 'epub', 'PK\x03\x04'),
  type('application/msword', 'doc', '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'),
  type('application/vnd.ms-excel', 'xls', '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'),
  type('application/gzip', 'gz tgz', '\x1f\x8b\x08'),
  type('application/x-7z-compressed', '7z', '7z\xbc\xaf\x27\x1c'),
  type('application/zstd', 'zst', '\x28\xb5\x2f\xfd'),
  type('application/vnd.rar', 'rar', 'Rar!\x1a\x07'),
  type('application/x-tar', 'tar', { at: 257, bytes: 'ustar' }),
  type('video/mp4', 'mp4 m4v', brand('isom'), brand('iso2'), brand('mp41'), brand('mp42'), brand('avc1')),
  type('video/quicktime', 'mov qt', brand('qt  ')),
  type('video/webm', 'webm', '\x1a\x45\xdf\xa3'),
  type('audio/mp4', 'm4a', brand('M4A ')),
  type('audio/mpeg', 'mp3', 'ID3', '\xff\xfb', '\xff\xf3', '\xff\xf2'),
  type('audio/ogg', 'ogg oga opus', 'OggS'),
  type('audio/wav', 'wav', 'RIFF....WAVE'),
  type('audio/flac', 'flac', 'fLaC'),
  type('font/woff2', 'woff2', 'wOF2'),
  type('font/woff', 'woff', 'wOFF'),
  type('application/json', 'json'),
  type('application/xml', 'xml'),
  type('text/csv', 'csv'),
  type('text/plain', 'txt text log'),
  type('text/markdown', 'md markdown'),
  type('text/calendar', 'ics'),
  type('text/vcard', 'vcf'),
]
/** What nobody should be able to send as something else: programs and pages. */
const foreign: readonly KnownType[] = [
  type('application/x-executable', '', '\x7fELF', 'MZ', '\xcf\xfa\xed\xfe', '\xca\xfe\xba\xbe'),
  type('application/x-shellscript', '', '#!'),
  type('application/x-php', '', '<?php', '<?='),
]
const other: Readonly<Record<string, string>> = {
  'image/jpg': 'image/jpeg',
  'image/pjpeg': 'image/jpeg',
  'image/vnd.microsoft.icon': 'image/x-icon',
  'application/x-zip-compressed': 'application/zip',
  'application/x-gzip': 'application/gzip',
  'audio/mp3': 'audio/mpeg',
  'audio/x-wav': 'audio/wav',
  'audio/wave': 'audio/wav',
  'text/xml': 'application/xml',
  'text/json': 'application/json',
  'application/csv': 'text/csv',
}

/** One name for those that several are used for. */
export function canonicalType(name: string): string {
  return Object.hasOwn(other, name) ? (other[name] as string) : name
}

/** Is `bytes`' piece from `from` what it says? Types that are not in the table are nothing. */
export function fits(name: string, bytes: string, from: number, to: number): boolean {
  const known = types.find(one => one.type === name)
  if (known === undefined) return false
  if (known.magic.length > 0) return known.magic.some(one => stands(one, bytes, from, to))
  return [...types, ...foreign].every(one => !one.magic.some(magic => stands(magic, bytes, from, to)))
}

/** Does it have first bytes of its own? Then it is no text. */
export function isText(name: string): boolean {
  return types.some(one => one.type === name && one.magic.length === 0)
}

/** Lower case, without the dot. */
export function hasEnding(name: string, ending: string): boolean {
  return types.some(one => one.type === name && one.endings.includes(ending))
}

function stands(
  magic: { readonly at: number; readonly bytes: string },
  bytes: string,
  from: number,
  to: number,
): boolean {
  const at = from + magic.at
  if (at + magic.bytes.length > to) return false
  for (let i = 0; i < magic.bytes.length; i++)
    if (magic.bytes[i] !== '.' && bytes[at + i] !== magic.bytes[i]) return false
  return true
}
