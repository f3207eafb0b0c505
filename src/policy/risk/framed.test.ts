import assert from 'node:assert/strict'
import { test } from 'node:test'
import { couldBeFramed, type RequestOrigin } from './framed.ts'

const plain: RequestOrigin = {
  family: 'chromium',
  fetchSite: '',
  fetchDest: '',
  referer: '',
  origin: '',
  accept: 'text/html,*/*;q=0.8',
  authority: 'Shop.example:8080',
}
const framed = (change: Partial<RequestOrigin>): boolean => couldBeFramed({ ...plain, ...change })

test('what another site, or another user, can make a browser do counts against nobody', () => {
  const image = { accept: 'image/avif,image/webp,*/*' }
  assert.equal(framed({ fetchSite: 'cross-site', fetchDest: 'image', ...image }), true)
  assert.equal(framed({ fetchSite: 'same-site', fetchDest: 'document' }), true)
  assert.equal(framed({ fetchSite: 'cross-site', fetchDest: 'document' }), true)
  assert.equal(framed({ fetchSite: 'same-origin', fetchDest: 'image', ...image }), true)
  assert.equal(framed({ fetchSite: 'same-origin', fetchDest: 'iframe' }), true)
  assert.equal(framed(image), true)
  assert.equal(framed({ accept: '*/*' }), true)
  assert.equal(framed({ referer: 'https://evil.example/' }), true)
  assert.equal(framed({ referer: 'http://shop.example:8080.evil.example/' }), true)
  assert.equal(framed({ origin: 'null' }), true)
  assert.equal(framed({ fetchSite: 'none', origin: 'https://evil.example' }), true)
})

test('who goes there alone, and programs, have done it themselves', () => {
  assert.equal(framed({}), false)
  assert.equal(framed({ fetchSite: 'none', fetchDest: 'document' }), false)
  assert.equal(framed({ fetchSite: 'same-origin', fetchDest: 'document' }), false)
  assert.equal(framed({ fetchSite: 'same-origin', fetchDest: 'empty', accept: '*/*' }), false)
  assert.equal(framed({ referer: 'http://shop.example:8080/films?x#y' }), false)
  assert.equal(framed({ origin: 'http://SHOP.example:8080' }), false)
  for (const family of ['tool', 'none', 'app'] as const)
    assert.equal(framed({ family, accept: '*/*' }), false)
})
