// What clients are told of a body that does not pass, and what operators find in the log: a rule (`body:...`, `upload:...`),
// a sentence, and what would have passed.

import type { PassageRefusal } from '../passage.ts'

export type BodyRefusalName =
  | 'ambiguous'
  | 'tooLarge'
  | 'unknownType'
  | 'unknownCoding'
  | 'badCoding'
  | 'uploadType'
  | 'uploadTooLarge'
  | 'uploadsTooMany'

export const bodyRefusals: Readonly<Record<BodyRefusalName, PassageRefusal>> = {
  ambiguous: {
    code: 'GUARD_BODY_AMBIGUOUS',
    status: 400,
    text: 'The request body can be read in more than one way.',
  },
  tooLarge: {
    code: 'GUARD_BODY_TOO_LARGE',
    status: 413,
    text: 'The request body is larger than what is looked at here.',
  },
  unknownType: {
    code: 'GUARD_BODY_TYPE',
    status: 415,
    text: 'Request bodies of this type are not taken here.',
  },
  unknownCoding: {
    code: 'GUARD_BODY_CODING',
    status: 415,
    text: 'The request body may have one encoding of gzip, deflate, br and zstd.',
    fields: 'Accept-Encoding: gzip, deflate, br, zstd\r\n',
  },
  badCoding: {
    code: 'GUARD_BODY_CODING_BAD',
    status: 400,
    text: 'The request body is not what its encoding says.',
  },
  uploadType: {
    code: 'GUARD_UPLOAD_TYPE',
    status: 415,
    text: 'A file of the upload is not of a type that is taken here.',
  },
  uploadTooLarge: {
    code: 'GUARD_UPLOAD_TOO_LARGE',
    status: 413,
    text: 'A file of the upload is too large.',
  },
  uploadsTooMany: {
    code: 'GUARD_UPLOADS_TOO_MANY',
    status: 413,
    text: 'The upload has too many files.',
  },
}

/** Why a body does not pass. */
export interface BodyRefusal {
  readonly refusal: PassageRefusal
  /** `body:json-duplicate-key`. */
  readonly rule: string
  readonly text: string
  readonly would: string
}

/** @param more What the client is told beside the refusal's own words: where it is wrong, never a piece of the body. */
export function bodyRefusal(
  name: BodyRefusalName,
  rule: string,
  text: string,
  would: string,
  more: string = text,
): BodyRefusal {
  const known = bodyRefusals[name]
  return { refusal: { ...known, text: `${known.text} ${more}`.trim() }, rule, text, would }
}
