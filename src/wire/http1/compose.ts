// What is dropped from a head on its way through (RFC 9110 7.6.1), and the small texts that the edge writes itself.

import { fieldId, fieldIdCount } from '../fields.ts'

function dropTable(...ids: number[]): Uint8Array {
  const table = new Uint8Array(fieldIdCount)
  for (const id of ids) table[id] = 1
  return table
}

const hopByHop: number[] = [
  fieldId.connection,
  fieldId['keep-alive'],
  fieldId['proxy-connection'],
  fieldId.te,
  fieldId.upgrade,
  fieldId['transfer-encoding'],
  fieldId['http2-settings'],
]

/**
 * Dropped from every request: hop-by-hop fields, framing and Host (written anew), what only this proxy could mean
 * (Proxy-*; `Proxy` itself is httpoxy), and what it writes itself.
 */
export const requestDrop: Uint8Array = dropTable(
  ...hopByHop,
  fieldId.host,
  fieldId['content-length'],
  fieldId.trailer,
  fieldId.proxy,
  fieldId['proxy-authorization'],
  fieldId['proxy-authenticate'],
  fieldId['max-forwards'],
)

/** Dropped from every response: hop-by-hop fields; Content-Length stays (it says the same length as before). */
export const responseDrop: Uint8Array = dropTable(...hopByHop, fieldId['proxy-authenticate'])

/** Dropped from 1xx and 204, which must not say a length (RFC 9110 8.6): a client that believed it would wait for a body. */
export const bodilessDrop: Uint8Array = dropTable(
  ...hopByHop,
  fieldId['proxy-authenticate'],
  fieldId['content-length'],
)

/** A copy of the table with more ids dropped. */
export function withDropped(table: Uint8Array, ids: readonly number[]): Uint8Array {
  const copy = table.slice()
  for (const id of ids) copy[id] = 1
  return copy
}

const hex = Array.from({ length: 256 }, (_, i) => i.toString(16))

/** The line before a chunk of `size` bytes. */
export function chunkLine(size: number): string {
  return size < 256 ? `${hex[size]}\r\n` : `${size.toString(16)}\r\n`
}

const reasons: Record<number, string> = {
  100: 'Continue',
  101: 'Switching Protocols',
  200: 'OK',
  204: 'No Content',
  206: 'Partial Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
}

export const reasonOf = (status: number): string => reasons[status] ?? ''
