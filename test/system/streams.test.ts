// Answers that never end by themselves: event streams and WebSockets. When the instance or the whole site goes, they are
// told so in their own protocol, and what the client gets is whole.

import assert from 'node:assert/strict'
import { get, type IncomingMessage } from 'node:http'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import { type Site, site, until } from '../tools/system-harness.ts'

interface Streams {
  readonly events: { text: string; ended: 'whole' | 'cut' | null }
  readonly socket: { readonly messages: string[]; code: number | null; send(text: string): void }
}

/** Both kinds, open and flowing. */
async function openStreams(t: TestContext, url: string): Promise<Streams> {
  const events: Streams['events'] = { text: '', ended: null }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = get(`${url}/events`, { agent: false }, resolve).on('error', reject)
    t.after(() => asked.destroy())
  })
  assert.equal(response.statusCode, 200)
  response.on('error', () => (events.ended = 'cut'))
  response.on('close', () => (events.ended = response.complete ? 'whole' : 'cut'))
  response.setEncoding('utf8').on('data', (text: string) => (events.text += text))

  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  t.after(() => ws.terminate())
  const socket: Streams['socket'] = { messages: [], code: null, send: text => ws.send(text) }
  ws.on('message', data => socket.messages.push(String(data)))
  ws.on('close', code => (socket.code = code))
  ws.on('error', () => {})
  await until('events and messages flow', () => events.text.length > 0 && socket.messages.length > 0)
  socket.send('hello')
  await until('it echoes', () => socket.messages.some(message => message.endsWith(': hello')))
  return { events, socket }
}

async function checkPoliteEnd({ events, socket }: Streams): Promise<void> {
  await until('both have ended', () => events.ended !== null && socket.code !== null)
  assert.equal(events.ended, 'whole', 'the last chunk came')
  assert.ok(events.text.endsWith('\n\n'), 'no event was cut')
  assert.equal(socket.code, 1001, 'going away')
}

function streamingSite(t: TestContext): Site {
  const shop = site(t)
  shop.describe({
    services: { web: shop.service({ instances: { min: 2, max: 2 }, stop: { drain: '300ms' } }) },
    edge: { drainTimeout: '500ms', routes: [{ path: '/*', to: 'web', upgrade: true }] },
  })
  return shop
}

test('event streams and WebSockets end politely when their instance is rolled, and new ones open at once', async t => {
  const shop = streamingSite(t)
  const { url } = await shop.begin()
  const streams = [await openStreams(t, url), await openStreams(t, url)]
  const restarted = await shop.run('restart', 'web')
  assert.equal(restarted.code, 0, restarted.error)
  for (const one of streams) await checkPoliteEnd(one)
  const again = await openStreams(t, url)
  assert.equal(again.events.ended, null)
})

test('event streams and WebSockets end politely when the site is stopped', async t => {
  const shop = streamingSite(t)
  const { url, child, exited } = await shop.begin()
  const streams = [await openStreams(t, url), await openStreams(t, url)]
  child.kill('SIGINT')
  for (const one of streams) await checkPoliteEnd(one)
  assert.equal(await exited, 0)
})

test('a WebSocket whose instance is killed is told to come back', async t => {
  const shop = streamingSite(t)
  const { url } = await shop.begin()
  const { events, socket } = await openStreams(t, url)
  for (const { pid } of await shop.members()) process.kill(pid as number, 'SIGKILL')
  await until('both have ended', () => events.ended !== null && socket.code !== null)
  assert.equal(socket.code, 1001)
  assert.equal(events.ended, 'cut', 'nobody says that this is the end')
})
