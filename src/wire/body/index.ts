// Bodies of requests, pure: bytes in, contents or the one problem out. Strict where readers differ.

export { type BodyKind, bodyKindOf, type ContentType } from './content-type.ts'
export { readBodyText, readContentType, readXmlText } from './read.ts'
export {
  type BodyContents,
  type BodyField,
  type BodyFile,
  type BodyLimits,
  type BodyProblem,
  bodyLimits,
} from './reading.ts'
export { invalidUtf8At } from './utf8.ts'
