// Our codec beside Node's own parser (llhttp, strict), over real sockets: what node:http refuses we refuse too, and a
// message that both accept means the same to both. We refuse more (docs/decisions/0011-http1-strictness.md): allowed.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import {
  type Message,
  type RequestMessage,
  type ResponseMessage,
  readRequest,
  readResponse,
  requestText,
  responseText,
} from './testing/messages.ts'

const together = 20
const runs = 60

const pairs = (raw: readonly string[]): [string, string][] =>
  Array.from({ length: raw.length / 2 }, (_, i) => [raw[i * 2] as string, raw[i * 2 + 1] as string])

/** All of a message that Node has taken apart; rejects when it does not end well. */
async function messageOf(incoming: IncomingMessage): Promise<Message> {
  let body = ''
  incoming.setEncoding('latin1')
  for await (const piece of incoming) body += piece
  if (!incoming.complete) throw new Error('incomplete')
  return { fields: pairs(incoming.rawHeaders), trailers: pairs(incoming.rawTrailers), body }
}

// --- requests: a strict node:http server; what it made of a connection's first request, by the client's port

type NodeRequest = Omit<RequestMessage, 'authority'>
const seen = new Map<number, NodeRequest>()
const server = http.createServer({ insecureHTTPParser: false }, async (request, response) => {
  const port = request.socket.remotePort as number
  try {
    const message = await messageOf(request)
    const { method, url } = request
    if (!seen.has(port)) seen.set(port, { method: method as string, target: url as string, ...message })
    response.setHeader('Connection', 'close')
    response.end()
  } catch {
    request.socket.destroy()
  }
})
server.on('clientError', (_error, socket) => socket.destroy())

// --- responses: a server that says what it is told, and ends

let nextId = 0
const answers = new Map<string, string>()
const scripted = net.createServer(socket => {
  socket.on('error', () => {})
  socket.once('data', bytes => {
    const id = /^[A-Z]+ \/(\d+) /.exec(bytes.toString('latin1'))?.[1] as string
    socket.end(Buffer.from(answers.get(id) as string, 'latin1'))
  })
})

before(async () => {
  for (const one of [server, scripted]) {
    one.listen(0, '127.0.0.1')
    await once(one, 'listening')
  }
})
after(() => {
  server.close()
  scripted.close()
})

const portOf = (one: net.Server): number => (one.address() as AddressInfo).port

async function askNodeServer(text: string): Promise<NodeRequest | null> {
  const socket = net.connect(portOf(server), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const port = socket.localPort as number
  socket.resume()
  socket.end(Buffer.from(text, 'latin1'))
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve))
  const outcome = seen.get(port) ?? null
  seen.delete(port)
  return outcome
}

async function askNodeClient(text: string, method: string): Promise<ResponseMessage | null> {
  const id = String(nextId++)
  answers.set(id, text)
  const request = http.request({
    port: portOf(scripted),
    path: `/${id}`,
    method,
    agent: false,
    insecureHTTPParser: false,
  })
  request.end()
  try {
    const message = await new Promise<ResponseMessage>((resolve, reject) => {
      request.on('error', reject)
      request.on('response', response => {
        const { statusCode, statusMessage } = response
        const found = { status: statusCode as number, reason: statusMessage as string }
        messageOf(response).then(rest => resolve({ ...found, ...rest }), reject)
      })
      request.on('close', () => setImmediate(reject, new Error('closed')))
    })
    return message
  } catch {
    return null
  } finally {
    request.destroy()
    answers.delete(id)
  }
}

/** Node's parser has a fixed list of methods; a proxy must pass others on (RFC 9110 9.1). */
const isUnknownMethod = (method: string): boolean => !http.METHODS.includes(method)

/** The absolute form that our authority and target came from, and origin form, in which we pass it on. */
function targetForms({ target, authority }: RequestMessage): string[] {
  const absolute = [authority + target]
  if (target === '/' || target === '*') absolute.push(authority)
  if (target.startsWith('/?')) absolute.push(authority + target.slice(1))
  return [target, ...absolute.flatMap(form => [`http://${form}`, `https://${form}`])]
}

function compareRequest(text: string, theirs: NodeRequest | null, tally: Tally): void {
  const ours = readRequest(text)
  count(tally, ours, theirs)
  if (ours === null) return
  if (theirs === null) {
    assert.ok(isUnknownMethod(ours.method), `node:http refuses what we accept: ${JSON.stringify(text)}`)
    return
  }
  const { target, ...rest } = theirs
  const { target: _, authority, ...mine } = ours
  assert.deepEqual(mine, rest, JSON.stringify(text))
  const form = target.replace(/^https?:/i, scheme => scheme.toLowerCase())
  assert.ok(targetForms(ours).includes(form), `${target} became ${authority} ${ours.target}`)
}

interface Tally {
  both: number
  neither: number
  onlyNode: number
}

function count(tally: Tally, ours: unknown, theirs: unknown): void {
  if (ours !== null && theirs !== null) tally.both++
  else if (ours === null && theirs === null) tally.neither++
  else if (theirs !== null) tally.onlyNode++
}

/** A comparison that saw only one kind of outcome would prove nothing. */
function assertVaried(tally: Tally): void {
  assert.ok(tally.both > 100 && tally.neither > 100 && tally.onlyNode > 0, JSON.stringify(tally))
}

test('requests: what node:http refuses we refuse, and what both accept is the same request', async t => {
  const tally: Tally = { both: 0, neither: 0, onlyNode: 0 }
  const batch = fc.array(requestText, { minLength: together, maxLength: together })
  await fc.assert(
    fc.asyncProperty(batch, async texts => {
      const theirs = await Promise.all(texts.map(askNodeServer))
      texts.forEach((text, i) => {
        compareRequest(text, theirs[i] as NodeRequest | null, tally)
      })
    }),
    { numRuns: runs, interruptAfterTimeLimit: 60_000 },
  )
  t.diagnostic(JSON.stringify(tally))
  assertVaried(tally)
})

/** Node drops a response together with bytes that stand behind it; for us those are the connection's matter. */
async function compareResponse(text: string, method: string, tally: Tally): Promise<void> {
  const ours = readResponse(text, method)
  let theirs = await askNodeClient(text, method)
  if (theirs === null && ours !== null && ours.rest !== '')
    theirs = await askNodeClient(text.slice(0, -ours.rest.length), method)
  count(tally, ours, theirs)
  if (ours === null) return
  assert.notEqual(theirs, null, `node:http refuses what we accept: ${JSON.stringify(text)}`)
  assert.deepEqual(ours.message, theirs, JSON.stringify(text))
}

for (const method of ['GET', 'HEAD']) {
  test(`responses to ${method}: what node:http refuses we refuse, and what both accept is the same`, async t => {
    const tally: Tally = { both: 0, neither: 0, onlyNode: 0 }
    const batch = fc.array(responseText, { minLength: together, maxLength: together })
    await fc.assert(
      fc.asyncProperty(batch, async texts => {
        await Promise.all(texts.map(text => compareResponse(text, method, tally)))
      }),
      { numRuns: runs, interruptAfterTimeLimit: 60_000 },
    )
    t.diagnostic(JSON.stringify(tally))
    assertVaried(tally)
  })
}
