// A response's HTTP/1.1 field lines as an HTTP/2 field list, and the list of an instance's response as an HTTP/1.1 head,
// which `Http1ResponseHead` reads (RFC 9113 8.3.2).

import { eachLine, isConnectionSpecific, isGoodField } from './grammar.ts'

/** Beyond this a status has no class, and node:http2 sends none (RFC 9110 15). */
const statusMax = 599

/** `fields`: ready lines. Connection-specific ones are left out, names are in lower case. */
export function responseList(status: number, fields: string): string[] {
  const list = [':status', `${status > statusMax ? 502 : status}`]
  eachLine(fields, (name, value) => {
    if (!isConnectionSpecific(name) && name !== 'te') list.push(name, value)
  })
  return list
}

/** The same by name, repeats as arrays; for interim responses. */
export function responseFields(status: number, fields: string): Record<string, string | number | string[]> {
  const byName: Record<string, string | number | string[]> = { ':status': status }
  eachLine(fields, (name, value) => {
    if (isConnectionSpecific(name) || name === 'te' || name === 'content-length') return
    const before = byName[name]
    byName[name] = before === undefined ? value : [before as string, value].flat()
  })
  return byName
}

/**
 * An instance's field list as a head; null when it is malformed. `ended`: no body follows. Without a length the body is
 * of unknown length: chunked, in HTTP/1.1's words.
 */
export function responseHeadText(list: readonly string[], ended: boolean, method: string): string | null {
  if (list[0] !== ':status' || !/^[1-9]\d\d$/.test(list[1] ?? '')) return null
  const status = Number(list[1])
  let text = `HTTP/1.1 ${status} \r\n`
  let sized = false
  for (let i = 2; i + 1 < list.length; i += 2) {
    const name = list[i] as string
    const value = list[i + 1] as string
    if (!isGoodField(name, value) || name === 'te') return null
    if (name === 'content-length') sized = true
    text += `${name}: ${value}\r\n`
  }
  const bodiless = status < 200 || status === 204 || status === 304 || method === 'HEAD'
  if (!sized && !bodiless) text += ended ? 'content-length: 0\r\n' : 'transfer-encoding: chunked\r\n'
  return `${text}\r\n`
}
