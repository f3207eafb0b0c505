// What attackers send and what people write, from packages of Debian and npm that are installed here: nothing is fetched.
// Every second text of a source is held out: figures are of those; the others may be looked at while rules are tuned.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

export interface Corpus {
  readonly name: string
  readonly attack: boolean
  readonly source: string
  readonly texts: readonly string[]
}

const textsMax = 600
const wapiti = '/usr/lib/python3/dist-packages/wapitiCore/data/attacks'
const sqlmap = '/usr/share/sqlmap/data/xml/payloads'
const modules = join(import.meta.dirname, '../../node_modules')

/** Sources that are not installed give no corpus; the report names what there was. */
export function readCorpora(): Corpus[] {
  const corpora: Corpus[] = [
    attack('SQL injection', "Debian's sqlmap", sqlmapTexts()),
    attack('blind SQL injection', "Debian's wapiti", wapitiLines('blindSQLPayloads.txt')),
    attack('cross-site scripting', "Debian's wapiti", wapitiSections('xssPayloads.ini')),
    attack('files', "Debian's wapiti", wapitiSections('fileHandlingPayloads.ini')),
    attack('commands', "Debian's wapiti", wapitiLines('execPayloads.txt')),
    attack('XML entities', "Debian's wapiti", wapitiSections('xxePayloads.ini')),
    benign('fortunes', "Debian's fortunes", fortunes()),
    benign('manual pages', "Debian's man pages", manualPages()),
    benign('READMEs', "npm's packages", readmes()),
    benign('package descriptions', "npm's packages", descriptions()),
  ]
  return corpora.filter(corpus => corpus.texts.length > 0)
}

function attack(name: string, source: string, texts: readonly string[]): Corpus {
  return { name, source, attack: true, texts: some(texts) }
}

function benign(name: string, source: string, texts: readonly string[]): Corpus {
  return { name, source, attack: false, texts: some(texts) }
}

function some(texts: readonly string[]): string[] {
  const different = [...new Set(texts)].filter(text => text.trim() !== '')
  const step = Math.max(1, Math.floor(different.length / textsMax))
  return different.filter((_, index) => index % step === 0).slice(0, textsMax)
}

function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'latin1').split('\n') : []
}

const fillings: readonly (readonly [RegExp, string])[] = [
  [/\[RANDNUM\d?\]|\[ORIGVALUE\]/g, '4821'],
  [/\[RANDSTR\d?\]/g, 'qJxk'],
  [/\[INFERENCE\]/g, '4821=4821'],
  [/\[DELIMITER_(?:START|STOP)\]/g, 'qkzvq'],
  [/\[SLEEPTIME\]|\[TIME\]|__TIME__/g, '5'],
  [/\[QUERY\]/g, 'SELECT USER()'],
  [/\[UNION\]/g, 'UNION ALL SELECT NULL,NULL,CONCAT(0x71,0x71),NULL'],
  [/\[(?:CHAR|COLSTART|COLSTOP)\]/g, 'NULL'],
  [/\[GENERIC_SQL_COMMENT\]/g, '-- -'],
  [/\[VALUE\]/g, 'red'],
  [/\[EXTERNAL_ENDPOINT\]/g, 'http://wapiti3.ovh/'],
  [/\[LF\]/g, '\n'],
  [/\[TAB\]|\[0x09\]/g, '\t'],
  [/\[NULL\]|\[0x00\]/g, '\0'],
  [/__XSS__/g, 'w12ab'],
  [/&gt;/g, '>'],
  [/&lt;/g, '<'],
  [/&amp;/g, '&'],
]

function filled(text: string): string {
  return fillings.reduce((filling, [pattern, value]) => filling.replace(pattern, value), text)
}

/** As sqlmap sends them: what closes a string or a bracket, the payload, what makes a comment of the rest. */
function sqlmapTexts(): string[] {
  if (!existsSync(sqlmap)) return []
  const ends = [
    ['', ''],
    ["'", '-- qJxk'],
    ["')", " AND ('a'='a"],
    ['"', '#'],
    [')', ''],
  ] as const
  const texts: string[] = []
  for (const name of readdirSync(sqlmap)) {
    for (const [, payload] of readFileSync(join(sqlmap, name), 'latin1').matchAll(
      /<payload>([^<]+)<\/payload>/g,
    )) {
      const [before, behind] = ends[texts.length % ends.length]!
      texts.push(filled(`1${before} ${payload}${behind}`))
    }
  }
  return texts
}

function wapitiLines(name: string): string[] {
  return linesOf(join(wapiti, name)).map(filled)
}

function wapitiSections(name: string): string[] {
  const text = linesOf(join(wapiti, name)).join('\n')
  return [...text.matchAll(/^payload = ((?:.*)(?:\n[ \t]+.*)*)/gm)].flatMap(([, payload]) =>
    payload!.split(/\n[ \t]+/).map(filled),
  )
}

function fortunes(): string[] {
  const folder = '/usr/share/games/fortunes'
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter(name => !name.includes('.'))
    .flatMap(name => linesOf(join(folder, name)).join('\n').split('\n%\n'))
}

/** Paragraphs, without the marks of troff. */
function manualPages(): string[] {
  const folder = '/usr/share/man/man1'
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter(name => name.endsWith('.gz'))
  const step = Math.max(1, Math.floor(names.length / 150))
  return names
    .filter((_, index) => index % step === 0)
    .flatMap(name => {
      const plain = gunzipSync(readFileSync(join(folder, name))).latin1Slice()
      return plain
        .split(/^\.(?:PP|P|Pp|sp|TP|IP)\b.*$/m)
        .map(text =>
          text
            .replace(/^[.'].*$/gm, '')
            .replace(/\\f.|\\-|\\&|\\\(../g, '')
            .trim(),
        )
        .filter(text => text.length > 40 && text.length < 4000)
        .slice(0, 12)
    })
}

function packageFolders(): string[] {
  return readdirSync(modules, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !entry.name.startsWith('.') && !entry.name.startsWith('@'))
    .map(entry => join(modules, entry.name))
}

/** Paragraphs of prose, code among them. */
function readmes(): string[] {
  return packageFolders().flatMap(folder => {
    const name = readdirSync(folder).find(one => /^readme\.md$/i.test(one))
    if (name === undefined) return []
    const paragraphs = linesOf(join(folder, name)).join('\n').split(/\n\n+/)
    return paragraphs.filter(text => text.length > 60 && text.length < 4000).slice(0, 10)
  })
}

function descriptions(): string[] {
  return packageFolders().flatMap(folder => {
    const path = join(folder, 'package.json')
    if (!existsSync(path)) return []
    const { description, keywords } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    const words = Array.isArray(keywords) ? keywords.join(', ') : ''
    return [String(description ?? ''), words]
  })
}
