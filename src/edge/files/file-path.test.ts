import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { filePathOf, hasContentHash, isInside } from './file-path.ts'
import { endingOf, isPackable, knownEndings, typeOf } from './file-types.ts'

test('plain names pass as they are, encoded ones decoded once', () => {
  for (const [rest, name] of [
    ['', ''],
    ['/', '/'],
    ['/a.css', '/a.css'],
    ['/a/b/', '/a/b/'],
    ['/a%20b.txt', '/a b.txt'],
    ['/%C3%A4.html', '/ä.html'],
    ['/a%2520b', '/a%20b'],
    ['/a+b', '/a+b'],
    ['/%F0%9F%8E%AC.mp4', '/🎬.mp4'],
    ['/.well-known/security.txt', '/.well-known/security.txt'],
    ['/a..b/c...d', '/a..b/c...d'],
  ] as const)
    assert.equal(filePathOf(rest, false), name, rest)
})

test('whatever could be another place for a file system is nothing', () => {
  for (const rest of [
    '//',
    '//a',
    '/a//b',
    '/.',
    '/..',
    '/../a',
    '/a/../b',
    '/a/./b',
    '/%2e%2e/a',
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a\\b',
    '/a%00',
    '/a%00.txt',
    '/a%0a',
    '/a%7f',
    '/%c0%ae%c0%ae/a',
    '/%e0%80%ae/a',
    '/%c0%af',
    '/%ed%a0%80',
    '/%ff',
    '/%',
    '/%zz',
    '/%2',
    '/a.',
    '/a%20',
    '/a./b',
    '/a%20/b',
    '/.git/config',
    '/a/.env',
    '/%2egit/config',
    `/${'a'.repeat(256)}`,
    `/${'%C3%A4'.repeat(128)}`,
    `${'/abcdefghi'.repeat(400)}`,
    'a',
    '/%C2%85',
    '/%E2%80%A8',
  ])
    assert.equal(filePathOf(rest, false), null, rest)
  assert.equal(filePathOf('/.git/config', true), '/.git/config')
  assert.equal(filePathOf('/..', true), null)
})

test('whatever the path, what comes out has no empty or dot segment and no separator in a name', () => {
  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2f',
    '%5c',
    '\\',
    'a',
    'ä',
    '%c3%a4',
    '%00',
    '%',
    ' ',
    '~',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const name = filePathOf(`/${pieces.join('')}`, true)
      if (name === null || name === '/') return
      const names = name.replace(/\/$/, '').split('/').slice(1)
      for (const one of names) {
        assert.notEqual(one, '')
        assert.notEqual(one, '.')
        assert.notEqual(one, '..')
        assert.doesNotMatch(one, /[\\\0]/)
      }
    }),
  )
})

test('only the root and what is below it is inside', () => {
  assert.equal(isInside('/srv/www', '/srv/www'), true)
  assert.equal(isInside('/srv/www/a', '/srv/www'), true)
  assert.equal(isInside('/srv/www2/a', '/srv/www'), false)
  assert.equal(isInside('/srv', '/srv/www'), false)
  assert.equal(isInside('/etc/passwd', '/'), true)
})

test('names with a content hash are told from names that only look long', () => {
  for (const name of [
    '/assets/app-3f9a1c.js',
    '/app.3f9a1c2b.css',
    '/index-BsL3p9xQ.js',
    '/main.5d41402abc4b2a76b9719d911017c592.js',
    '/index-DiwrgTd0.css',
    '/app-3f9a1c.js.map',
  ])
    assert.equal(hasContentHash(name), true, name)
  for (const name of [
    '/app.js',
    '/jquery-ui-touchpunch.js',
    '/film-version2.js',
    '/report-20240101.pdf',
    '/index.html',
    '/hero-iPhone15.png',
    '/jquery-3.7.1.min.js',
    '/my-component.css',
    '/3f9a1c',
  ])
    assert.equal(hasContentHash(name), false, name)
})

test('about two hundred endings have a type; text says that it is UTF-8; the rest is bytes', () => {
  assert.ok(knownEndings >= 100, `${knownEndings}`)
  assert.equal(typeOf('/a/b.HTML'), 'text/html; charset=utf-8')
  assert.equal(typeOf('/a.mjs'), 'text/javascript; charset=utf-8')
  assert.equal(typeOf('/a.json'), 'application/json')
  assert.equal(typeOf('/a.wasm'), 'application/wasm')
  assert.equal(typeOf('/a.woff2'), 'font/woff2')
  assert.equal(typeOf('/a.avif'), 'image/avif')
  assert.equal(typeOf('/a.unheard'), 'application/octet-stream')
  assert.equal(typeOf('/a.d/b'), 'application/octet-stream')
  assert.equal(endingOf('/.env'), '')
  for (const name of ['a.js', 'a.html', 'a.svg', 'a.json', 'a.wasm', 'a.ttf'])
    assert.ok(isPackable(typeOf(name)), name)
  for (const name of ['a.png', 'a.woff2', 'a.mp4', 'a.zip', 'a.gz'])
    assert.ok(!isPackable(typeOf(name)), name)
})
