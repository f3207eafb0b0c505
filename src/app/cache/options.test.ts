import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { type Cache, type CacheOptions, createCache } from './index.ts'

const open: Cache[] = []
afterEach(() => Promise.all(open.splice(0).map(cache => cache.close())))

function made(options: object): Cache {
  const cache = createCache({ name: 'films', ...options } as CacheOptions)
  open.push(cache)
  return cache
}

test('an option that is none is refused by its name: of a cache, of its bounds, of a region, of a call', async () => {
  assert.throws(() => made({ ttl: 5 }), /'ttl' is no option; allowed: ttlMs/)
  assert.throws(() => made({ max: { size: 5 } }), /max: 'size' is no option; allowed: entries/)
  assert.throws(() => made({ name: undefined }), /name is undefined/)
  assert.throws(() => made({ tier: 'redis://localhost' }), /tier is redis:.*createRedisTier/)
  const cache = made({})
  await assert.rejects(
    cache.getOrSet('a', () => 1, { ttl: 5 } as never),
    /'ttl' is no option/,
  )
  await assert.rejects(cache.region('b', { ttl: 5 } as never).set('a', 1), /'ttl' is no option/)
  await assert.rejects(
    cache.getOrSet('a', () => 1, { tags: 'ab' } as never),
    /tags is ab; allowed: a list/,
  )
})

test('a write that would fence nothing because of a wrong word is refused before it writes', async () => {
  const cache = made({})
  let writes = 0
  const write = () => writes++
  await assert.rejects(cache.update({ key: 'a' } as never, write), /'key' is no option; allowed: keys, tags/)
  await assert.rejects(cache.update({ keys: 'ab' } as never, write), /keys is ab; allowed: a list/)
  assert.equal(writes, 0)
  await assert.rejects(cache.invalidate({ tag: ['a'] } as never), /allowed: keys, tags, everything, soft/)
  await cache.update({ keys: [], tags: [] }, write)
  assert.equal(writes, 1)
})
