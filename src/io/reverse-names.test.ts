import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createReverseNames, type ReverseNames } from './reverse-names.ts'
import { type NameServer, startNameServer } from './testing/name-server.ts'

async function served(context: TestContext): Promise<NameServer & { names: ReverseNames }> {
  const server = await startNameServer()
  const names = createReverseNames({ servers: [server.address], timeoutMs: 300 })
  context.after(async () => {
    names.close()
    await server.close()
  })
  return { ...server, names }
}

test('only names that have the address themselves are names of it', async context => {
  const { names, zone } = await served(context)
  zone.set('7.2.0.192.in-addr.arpa', [
    { type: 'PTR', data: 'Crawl-7.Bot.test', ttl: 60 },
    { type: 'PTR', data: 'crawl-7.stolen.test', ttl: 60 },
    { type: 'PTR', data: 'crawl-7.nowhere.test', ttl: 60 },
  ])
  zone.set('crawl-7.bot.test', [{ type: 'A', data: '192.0.2.7', ttl: 60 }])
  zone.set('crawl-7.stolen.test', [{ type: 'A', data: '198.51.100.1', ttl: 60 }])
  assert.deepEqual(await names.confirmed('192.0.2.7'), ['crawl-7.bot.test'])
})

test('IPv6 addresses are the same however they are written', async context => {
  const { names, zone } = await served(context)
  const reverse = `1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`
  zone.set(reverse, [{ type: 'PTR', data: 'six.test', ttl: 60 }])
  zone.set('six.test', [{ type: 'AAAA', data: '2001:db8::1', ttl: 60 }])
  assert.deepEqual(await names.confirmed('2001:0db8:0:0:0:0:0:1'), ['six.test'])
})

test('an address without a name has none; a server that does not answer is told', async context => {
  const { names, behave } = await served(context)
  assert.deepEqual(await names.confirmed('192.0.2.8'), [])
  behave('silent')
  await assert.rejects(names.confirmed('192.0.2.8'), /192\.0\.2\.8: DNS gave no answer/)
})
