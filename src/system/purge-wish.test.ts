import assert from 'node:assert/strict'
import { test } from 'node:test'
import { purgeOf, purgeText } from './purge-wish.ts'

test('URLs lose their scheme and own port, hosts become small; a final /* and --prefix mean all below', () => {
  assert.deepEqual(
    purgeOf({
      urls: [
        'https://Shop.Example/films?page=2#top',
        'http://shop.example:80/a',
        'https://shop.example:443/b',
        'http://shop.example:8080/c',
        'shop.example/d',
        'https://shop.example',
        '/films',
        '/rooms/*',
      ],
      prefixes: ['/films', 'shop.example/x/', 'https://shop.example'],
      tags: ['film:7'],
    }),
    {
      targets: [
        'shop.example/films?page=2',
        'shop.example/a',
        'shop.example/b',
        'shop.example:8080/c',
        'shop.example/d',
        'shop.example/',
        '/films',
      ],
      prefixes: ['/films/', 'shop.example/x/', 'shop.example/', '/rooms/'],
      tags: ['film:7'],
    },
  )
  assert.deepEqual(purgeOf({ all: true, soft: true }), { all: true, soft: true })
})

test('what names nothing, or is no URL, is refused before anybody forgets anything', () => {
  for (const wish of [
    {},
    { urls: [] },
    { urls: ['films'] },
    { urls: ['https://'] },
    { urls: ['https:///films'] },
    { urls: ['/films*'] },
    { urls: ['https://*.example/'] },
    { prefixes: ['ftp://x/'] },
  ])
    assert.throws(() => purgeOf(wish), { code: 'SYSTEM_REQUEST_INVALID' }, JSON.stringify(wish))
})

test('a purge is told in words', () => {
  assert.equal(purgeText(purgeOf({ all: true })), 'everything')
  assert.equal(
    purgeText(purgeOf({ urls: ['/a', '/b'], prefixes: ['/c'], tags: ['d'], soft: true })),
    '2 URLs, 1 prefix, 1 tag (softly)',
  )
  assert.equal(purgeText(purgeOf({ prefixes: ['/c', '/d'] })), '2 prefixes')
})
