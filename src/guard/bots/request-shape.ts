// What `policy/risk` looks at in one request, gathered from its head by interned names. One object, filled anew.

import { type Agent, couldBeFramed, type RequestShape } from '../../policy/risk/index.ts'
import { fieldId } from '../../wire/fields.ts'
import type { RequestHead } from '../../wire/head.ts'
import type { Passage } from '../passage.ts'

const nobody: Agent = { family: 'none', version: 0, headless: false }

export function emptyShape(): RequestShape {
  return {
    agent: nobody,
    httpVersion: '1.1',
    secure: false,
    preflight: false,
    proxied: false,
    ja4: '',
    upgrading: false,
    agentAt: -1,
    acceptAt: -1,
    languageAt: -1,
    encodingAt: -1,
    originAt: -1,
    capitals: true,
    fetchSite: '',
    fetchMode: '',
    fetchDest: '',
    fetchUser: '',
    hints: '',
  }
}

export function fillShape(shape: RequestShape, passage: Passage, agent: Agent): void {
  const { head, client } = passage
  shape.agent = agent
  shape.httpVersion = client?.httpVersion ?? '1.1'
  shape.secure = client !== null && client.tls !== null
  shape.proxied = client?.trusted === true
  shape.ja4 = client?.hello?.ja4 ?? ''
  shape.preflight = head.method === 'OPTIONS'
  shape.upgrading = head.firstOf(fieldId['sec-websocket-key']) >= 0
  shape.agentAt = head.firstOf(fieldId['user-agent'])
  shape.acceptAt = head.firstOf(fieldId.accept)
  shape.languageAt = head.firstOf(fieldId['accept-language'])
  shape.encodingAt = head.firstOf(fieldId['accept-encoding'])
  shape.originAt = head.firstOf(fieldId.origin)
  // `User-Agent`, not `user-agent`.
  shape.capitals = shape.agentAt < 0 || head.nameAt(shape.agentAt).charCodeAt(0) === 85
  shape.fetchSite = text(head, fieldId['sec-fetch-site'])
  shape.fetchMode = text(head, fieldId['sec-fetch-mode'])
  shape.fetchDest = text(head, fieldId['sec-fetch-dest'])
  shape.fetchUser = text(head, fieldId['sec-fetch-user'])
  shape.hints = text(head, fieldId['sec-ch-ua'])
}

function text(head: RequestHead, id: number): string {
  return head.value(id) ?? ''
}

/** Could another site, or another user of this one, have made it ask? */
export function isFramed(passage: Passage, agent: Agent): boolean {
  const { head } = passage
  return couldBeFramed({
    family: agent.family,
    fetchSite: text(head, fieldId['sec-fetch-site']),
    fetchDest: text(head, fieldId['sec-fetch-dest']),
    referer: text(head, fieldId.referer),
    origin: text(head, fieldId.origin),
    accept: text(head, fieldId.accept),
    authority: head.authority,
  })
}

/** Does it ask for a page, as a click or a reload does? What claims no browser asks for pages with every GET. */
export function asksForPage(shape: RequestShape, head: RequestHead): boolean {
  if (head.method !== 'GET' || shape.upgrading) return false
  if (shape.fetchDest !== '') return shape.fetchDest === 'document'
  const { family } = shape.agent
  if (family === 'tool' || family === 'none') return true
  return family !== 'app' && text(head, fieldId.accept).includes('text/html')
}
