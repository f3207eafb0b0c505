// The one way into the readers of this folder: the type first, then the body by its kind. A problem is a value here.

import { type BodyKind, type ContentType, contentTypeOf } from './content-type.ts'
import { readJson } from './json.ts'
import { readMultipart } from './multipart.ts'
import {
  type BodyContents,
  BodyFault,
  type BodyLimits,
  type BodyProblem,
  bodyLimits,
  nothingRead,
} from './reading.ts'
import { readUrlencoded } from './urlencoded.ts'
import { invalidUtf8At } from './utf8.ts'
import { readXml } from './xml.ts'

/** UTF-8's, UTF-16's and UTF-32's: who heeds one reads another text than who does not. */
const marks = ['\xef\xbb\xbf', '\xfe\xff', '\xff\xfe', '\x00\x00\xfe\xff', '+/v']

/** @param values Of all Content-Type fields; none: null. */
export function readContentType(values: readonly string[]): ContentType | BodyProblem | null {
  if (values.length > 1)
    return { problem: 'content-type-twice', text: 'Content-Type comes more than once.', at: 0 }
  if (values.length === 0) return null
  return guarded(() => contentTypeOf(values[0] as string))
}

/** @param text The whole body, a character a byte. */
export function readBodyText(
  kind: NonNullable<BodyKind>,
  type: ContentType,
  text: string,
  limits: BodyLimits = bodyLimits,
): BodyContents | BodyProblem {
  return guarded(() => {
    if (marks.some(mark => text.startsWith(mark)) && kind !== 'multipart')
      throw new BodyFault('byte-order-mark', 'The body begins with a byte order mark.', 0)
    return contentsOf(kind, type, text, limits)
  })
}

/** XML by itself, as in a picture. */
export function readXmlText(text: string, limits: BodyLimits = bodyLimits): BodyContents | BodyProblem {
  return guarded(() => readXml(text, limits))
}

function contentsOf(
  kind: NonNullable<BodyKind>,
  { parameters }: ContentType,
  text: string,
  limits: BodyLimits,
): BodyContents {
  switch (kind) {
    case 'urlencoded':
      return { ...nothingRead, args: readUrlencoded(text, limits) }
    case 'json':
      return { ...nothingRead, args: readJson(text, 'json', limits) }
    case 'multipart':
      return readMultipart(text, parameters.get('boundary'), limits)
    case 'xml':
      return readXml(text, limits)
    case 'text':
      return { ...nothingRead, args: textArgs(text, limits) }
  }
}

/** Some read JSON whatever its type says: what looks like it must be clear as JSON too. */
function textArgs(text: string, limits: BodyLimits): BodyContents['args'] {
  const bad = invalidUtf8At(text)
  if (bad >= 0) throw new BodyFault('utf-8', 'The text is not UTF-8.', bad)
  const whole: BodyContents['args'] = [['body', text]]
  if (!/^[ \t\r\n]*[{[]/.test(text)) return whole
  const read = guarded(() => readJson(text, 'json', limits))
  if ('problem' in read) {
    if (read.problem === 'json-syntax' || read.problem === 'json-trailing') return whole
    throw new BodyFault(read.problem, read.text, read.at)
  }
  return [...whole, ...read]
}

function guarded<T extends object>(read: () => T): T | BodyProblem {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof BodyFault)) throw error
    return { problem: error.problem, text: error.text, at: error.at }
  }
}
