// One request's body on its way through the guard: its type, then held whole, decoded of one encoding, read strictly, its
// files judged. Says what the rules are to see, and why it should not pass; whether it does decides the step. Nothing of
// it is changed: what passes goes on byte for byte.

import type { CheckedUploads } from '../../file/checked-guard.ts'
import type { UnpackCoding } from '../../io/zlib.ts'
import {
  type BodyContents,
  type BodyKind,
  type BodyProblem,
  bodyKindOf,
  type ContentType,
  readBodyText,
  readContentType,
} from '../../wire/body/index.ts'
import type { Passage } from '../passage.ts'
import type { WafBody, WafBodyProcessor } from '../waf/transaction.ts'
import { codingOf, readableIn, unpackBody } from './coding.ts'
import { type BodyRefusal, bodyRefusal } from './failures.ts'
import { judgeUploads } from './uploads.ts'

export interface BodyBounds {
  readonly bytesMax: number
  /** Lower case; `image/*`. */
  readonly unreadTypes: readonly string[]
  readonly uploads: CheckedUploads | null
}

export interface SeenBody {
  /** For the rules; null: there is none. */
  readonly body: WafBody | null
  readonly refusal: BodyRefusal | null
}

/** However many files are allowed: no body is held that is larger. */
const heldBytesMax = 64 << 20
const processors: Readonly<Record<NonNullable<BodyKind>, WafBodyProcessor>> = {
  urlencoded: 'URLENCODED',
  multipart: 'MULTIPART',
  json: 'JSON',
  xml: 'XML',
  text: '',
}
const emptyBody: WafBody = {
  processor: '',
  bytes: 0,
  text: '',
  args: [],
  files: [],
  partHeaders: [],
  xmlTexts: [],
  xmlAttributes: [],
  error: '',
}
/** Of arguments that are no fields of the body: text found in it as it was sent, before it was decoded. */
const rawName = 'encoded-body'
const noBody: SeenBody = { body: null, refusal: null }

/** What is known at once, or null: then `done` hears it later, unless the request is over before. */
export function readBody(
  passage: Passage,
  bounds: BodyBounds,
  done: (seen: SeenBody) => void,
): SeenBody | null {
  const { client } = passage
  if (client === null || (!client.bodyOpen && passage.bytesIn === 0)) return noBody
  const type = readContentType(valuesOf(passage, 'content-type'))
  if (type !== null && 'problem' in type) return ambiguous(type, emptyBody)
  const named = type?.type ?? ''
  if (bounds.unreadTypes.some(one => matches(one, named))) return { body: emptyBody, refusal: null }
  const kind = bodyKindOf(named)
  if (type === null || kind === null) {
    const what = named === '' ? 'The body has no Content-Type.' : 'The body is of a type that is not read.'
    const would = 'A form, JSON, XML or text, or a type of waf.unreadTypes.'
    return { body: emptyBody, refusal: bodyRefusal('unknownType', 'body:type', what, would, '') }
  }
  const coding = codingOf(valuesOf(passage, 'content-encoding'))
  if (coding === null) {
    const would = 'A body without Content-Encoding, or with one.'
    const text = 'The body has an encoding that is not known, or several.'
    return { body: emptyBody, refusal: bodyRefusal('unknownCoding', 'body:coding', text, would, '') }
  }
  holdAndRead(passage, { kind, type, coding }, bounds, done)
  return null
}

interface Told {
  readonly kind: NonNullable<BodyKind>
  readonly type: ContentType
  readonly coding: UnpackCoding | ''
}

function holdAndRead(passage: Passage, told: Told, bounds: BodyBounds, done: (seen: SeenBody) => void): void {
  const { serial } = passage
  const bytesMax = heldMax(told.kind, bounds)
  passage.holdBody(bytesMax, held => {
    if (held === null) done(tooLarge(bytesMax))
    else if (held.length === 0) done(noBody)
    else if (told.coding === '') done(judgeSafely(held, told, bounds))
    else
      unpackBody(told.coding, held, bytesMax, plain => {
        if (passage.serial !== serial) return
        if (plain === 'too large') done(tooLarge(bytesMax))
        else if (plain === 'bad') {
          const text = 'The body can not be decoded whole.'
          const would = 'A body that is what its encoding says.'
          done({ body: emptyBody, refusal: bodyRefusal('badCoding', 'body:coding-bad', text, would, '') })
        } else done(withRaw(judgeSafely(plain, told, bounds), told.kind, held, plain))
      })
  })
}

/** Files may be larger than what is looked at of other bodies. */
function heldMax(kind: BodyKind, { bytesMax, uploads }: BodyBounds): number {
  if (kind !== 'multipart' || uploads === null) return bytesMax
  return Math.max(bytesMax, Math.min(heldBytesMax, uploads.bytesMax * uploads.countMax + bytesMax))
}

/**
 * Services that do not know Content-Encoding read what was sent: what stands there in clear, and not in what it means, is
 * for the rules too. Readers of JSON and XML stop at the first byte of what is packed.
 */
function withRaw(seen: SeenBody, kind: Told['kind'], held: Buffer, plain: Buffer): SeenBody {
  if (seen.body === null || kind === 'json' || kind === 'xml') return seen
  const more = readableIn(held)
    .filter(text => !plain.includes(text, 0, 'latin1'))
    .map((text): [string, string] => [rawName, text])
  return { ...seen, body: { ...seen.body, args: [...seen.body.args, ...more] } }
}

/** From callbacks, in which nobody else would catch what a strange body does to a reader. */
function judgeSafely(bytes: Buffer, told: Told, bounds: BodyBounds): SeenBody {
  try {
    return judge(bytes, told, bounds)
  } catch (error) {
    const text = `The body could not be read: ${(error as Error).message}`
    const body = { ...emptyBody, bytes: bytes.length, error: text }
    const would = 'A plainer body. This is a mistake of Tenfold; please report it.'
    return { body, refusal: bodyRefusal('ambiguous', 'body:fault', text, would, '') }
  }
}

function judge(bytes: Buffer, { kind, type }: Told, bounds: BodyBounds): SeenBody {
  const text = bytes.latin1Slice()
  const read = readBodyText(kind, type, text)
  const shown = kind === 'multipart' ? '' : text
  const body = { ...emptyBody, processor: processors[kind], bytes: bytes.length, text: shown }
  if ('problem' in read) return ambiguous(read, { ...body, error: read.text })
  const refusal = bounds.uploads === null ? null : judgeUploads(read.files, text, bounds.uploads)
  return { body: withContents(body, read), refusal }
}

function withContents(body: WafBody, read: BodyContents): WafBody {
  const { args, partHeaders, xmlTexts, xmlAttributes } = read
  const files = read.files.map(({ field, name, from, to }) => ({ field, name, bytes: to - from }))
  return { ...body, args, files, partHeaders, xmlTexts, xmlAttributes }
}

function ambiguous({ problem, text, at }: BodyProblem, body: WafBody): SeenBody {
  const where = at === 0 ? text : `${text} (Byte ${at}.)`
  return {
    body: { ...body, error: text },
    refusal: bodyRefusal('ambiguous', `body:${problem}`, where, 'A body that every reader takes alike.'),
  }
}

function tooLarge(bytesMax: number): SeenBody {
  const text = `The body has more than ${bytesMax} bytes.`
  const would = `At most ${bytesMax} bytes, also when decoded.`
  return { body: { ...emptyBody, error: text }, refusal: bodyRefusal('tooLarge', 'body:size', text, would) }
}

/** Some reader may take the body for a form with files. */
export function saysMultipart(passage: Passage): boolean {
  return valuesOf(passage, 'content-type').some(value => value.toLowerCase().includes('multipart'))
}

/** Of all fields with the name, each by itself. */
function valuesOf({ head }: Passage, name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < head.count; i++) if (head.nameAt(i).toLowerCase() === name) values.push(head.valueAt(i))
  return values
}

function matches(pattern: string, type: string): boolean {
  const lower = pattern.toLowerCase()
  return lower.endsWith('/*') ? type.startsWith(lower.slice(0, -1)) : type === lower
}
