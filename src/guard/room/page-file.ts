// An operator's own page of a room, read from its file.

import { readText } from '../../io/text-file.ts'
import { Failure } from '../../kit/failure.ts'
import { roomFailures } from './failures.ts'

const pageCharsMax = 1 << 20

/** @throws Failure `page` */
export function pageText(path: string, room: string): string {
  try {
    const text = readText(path)
    if (text.length <= pageCharsMax) return text
    throw new Error(`it is longer than ${pageCharsMax} characters`)
  } catch (cause) {
    const sentence = `The page of the waiting room "${room}", ${path}, can't be read: ${(cause as Error).message}.`
    throw new Failure(roomFailures.page, sentence, { cause })
  }
}
