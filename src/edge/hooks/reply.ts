// What a hook gave back, judged before any of it touches a head: shapes, sizes, names and values. Nothing that frames a
// message, belongs to one hop, or is the edge's own word about the client can be set, whatever its spelling. Never throws:
// what is wrong is a sentence for the operator's log.

import { normalisePath } from '../../policy/route.ts'
import { identityNames } from '../client-identity.ts'
import type { HeadEdits } from '../response-sink.ts'

export interface RequestReply {
  readonly edits: HeadEdits | null
  readonly url: string | null
  readonly respond: { readonly status: number; readonly fields: string; readonly body: string } | null
}

export interface ResponseReply {
  readonly edits: HeadEdits | null
  readonly status: number | null
}

export type Judged<T> = { readonly good: T } | { readonly wrong: string }

const linesMax = 64
const nameCharsMax = 256
const valueCharsMax = 8_192
const fieldsCharsMax = 16_384
const urlCharsMax = 8_192
export const hookBodyBytesMax = 262_144

/** Framing and hop-by-hop fields (RFC 9110 7.6.1, RFC 9112 6) and those that the edge writes itself, both directions. */
const everywhere: readonly string[] = [
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'via',
]
const inRequests: ReadonlySet<string> = new Set([
  ...everywhere,
  ...identityNames,
  'expect',
  'forwarded',
  'host',
  'max-forwards',
  'proxy',
  'traceparent',
  'tracestate',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
])
/** The body stays as the instance coded it. */
const inResponses: ReadonlySet<string> = new Set([...everywhere, 'content-encoding', 'content-range'])
const bodiless: readonly number[] = [204, 205, 304]

export function judgeRequestReply(reply: unknown): Judged<RequestReply> {
  if (reply === null) return { good: { edits: null, url: null, respond: null } }
  const parts = reply as Record<string, unknown>
  const edits = judgeEdits(parts, inRequests)
  if ('wrong' in edits) return edits
  const { url, respond } = parts
  if (url !== undefined && !isUrl(url))
    return { wrong: `gave back a url that is not a path from / of printable ASCII: ${shown(url)}` }
  if (respond === undefined)
    return { good: { edits: edits.good, url: (url as string | undefined) ?? null, respond: null } }
  const answer = judgeAnswer(respond as Record<string, unknown>)
  return 'wrong' in answer ? answer : { good: { edits: null, url: null, respond: answer.good } }
}

/** `status` is the instance's. */
export function judgeResponseReply(reply: unknown, instanceStatus: number): Judged<ResponseReply> {
  if (reply === null) return { good: { edits: null, status: null } }
  const parts = reply as Record<string, unknown>
  const edits = judgeEdits(parts, inResponses)
  if ('wrong' in edits) return edits
  const { status } = parts
  if (status === undefined || status === instanceStatus) return { good: { edits: edits.good, status: null } }
  if (!isStatus(status) || bodiless.includes(status))
    return { wrong: `gave back the status ${shown(status)}; 200 to 599 but 204, 205 and 304 are possible` }
  if (bodiless.includes(instanceStatus))
    return { wrong: `gave back a status for an answer of ${instanceStatus}, which can't be changed` }
  return { good: { edits: edits.good, status } }
}

function judgeAnswer(respond: Record<string, unknown>): Judged<NonNullable<RequestReply['respond']>> {
  const { status, fields, body } = respond ?? {}
  if (!isStatus(status)) return { wrong: `gave back the status ${shown(status)}; 200 to 599 are possible` }
  if (!(body instanceof Uint8Array) || body.length > hookBodyBytesMax)
    return { wrong: `gave back a body that is not text or bytes of at most ${hookBodyBytesMax / 1024} KB` }
  const lines = linesOf(fields ?? [], inResponses)
  if ('wrong' in lines) return lines
  const none = bodiless.includes(status)
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const named = /^content-type:/im.test(lines.good.text)
  const type = none || named || bytes.length === 0 ? '' : 'Content-Type: text/plain; charset=utf-8\r\n'
  const length = none ? '' : `Content-Length: ${bytes.length}\r\n`
  return { good: { status, fields: type + length + lines.good.text, body: none ? '' : bytes.latin1Slice() } }
}

function judgeEdits(
  parts: Record<string, unknown>,
  forbidden: ReadonlySet<string>,
): Judged<HeadEdits | null> {
  const { set, append, remove } = parts
  const setLines = linesOf(set ?? [], forbidden)
  if ('wrong' in setLines) return setLines
  const more = linesOf(append ?? [], forbidden)
  if ('wrong' in more) return more
  const removed = (remove ?? []) as unknown[]
  if (!Array.isArray(removed) || removed.length > linesMax)
    return { wrong: `removes what is not a list of at most ${linesMax} names` }
  for (const name of removed) {
    const trouble = nameTrouble(name, forbidden)
    if (trouble !== '') return { wrong: `removes ${trouble}` }
  }
  const drop = [...setLines.good.names, ...(removed as string[]).map(name => name.toLowerCase())]
  const add = setLines.good.text + more.good.text
  if (add.length > fieldsCharsMax) return { wrong: `sets fields of more than ${fieldsCharsMax / 1024} KB` }
  return { good: drop.length === 0 && add === '' ? null : { drop, add } }
}

function linesOf(
  fields: unknown,
  forbidden: ReadonlySet<string>,
): Judged<{ readonly text: string; readonly names: readonly string[] }> {
  if (!Array.isArray(fields) || fields.length % 2 !== 0 || fields.length > 2 * linesMax)
    return { wrong: `sets more than ${linesMax} field lines` }
  let text = ''
  const names: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name: unknown = fields[i]
    const value: unknown = fields[i + 1]
    const trouble = nameTrouble(name, forbidden)
    if (trouble !== '') return { wrong: `sets ${trouble}` }
    if (typeof value !== 'string' || value.length > valueCharsMax || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      return { wrong: `sets ${shown(name)} to a value with characters or a length that a field can't have` }
    text += `${name as string}: ${value.trim()}\r\n`
    names.push((name as string).toLowerCase())
  }
  if (text.length > fieldsCharsMax) return { wrong: `sets fields of more than ${fieldsCharsMax / 1024} KB` }
  return { good: { text, names } }
}

/** '' when a hook may touch the field. */
function nameTrouble(name: unknown, forbidden: ReadonlySet<string>): string {
  if (typeof name !== 'string' || name.length > nameCharsMax || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
    return `a field whose name is no name: ${shown(name)}`
  // As servers fold names into CGI variables: `Content_Length` must not be a way round.
  const folded = name.toLowerCase().replaceAll(/[^0-9a-z]/g, '-')
  return forbidden.has(folded) ? `the field ${name}, which is the edge's own` : ''
}

const isStatus = (status: unknown): status is number =>
  Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599

function isUrl(url: unknown): url is string {
  if (typeof url !== 'string' || url.length > urlCharsMax || !/^\/[\x21\x22\x24-\x7e]*$/.test(url))
    return false
  const mark = url.indexOf('?')
  return normalisePath(mark < 0 ? url : url.slice(0, mark)) !== null
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > 80 ? `${text.slice(0, 80)}...` : text
}
