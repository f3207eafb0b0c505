import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckedUploads } from '../../file/checked-guard.ts'
import { judgeUploads } from './uploads.ts'

const png = '\x89PNG\r\n\x1a\n\x00\x00'
const pdf = '%PDF-1.7\n'
const uploads: CheckedUploads = {
  types: ['image/*', 'application/pdf', 'text/csv', 'image/svg+xml'],
  bytesMax: 1_000,
  countMax: 2,
}

const judge = (name: string, type: string, bytes: string, allowed = uploads): string =>
  judgeUploads([{ field: 'f', name, type, from: 2, to: 2 + bytes.length }], `--${bytes}--`, allowed)?.rule ??
  'passes'

const svg = (inside: string): string => `<svg xmlns="http://www.w3.org/2000/svg">${inside}</svg>`

const cases: readonly (readonly [what: string, rule: string, name: string, type: string, bytes: string])[] = [
  ['a picture', 'passes', 'a.png', 'image/png', png],
  ['a photograph', 'passes', 'IMG 1.JPG', 'image/jpeg', '\xff\xd8\xff\xe0'],
  ['a photograph by its other name', 'passes', 'a.jpg', 'image/jpg', '\xff\xd8\xff\xe0'],
  ['a picture of memory', 'passes', 'blob', 'image/png', png],
  ['a picture with a foreign name', 'passes', 'Ã©tÃ©.png', 'image/png', png],
  ['a document', 'passes', 'a.pdf', 'application/pdf', pdf],
  ['a table', 'passes', 'a.csv', 'text/csv', 'a,b\n1,2\n'],
  ['a drawing', 'passes', 'a.svg', 'image/svg+xml', svg('<a href="#x"><path d="M0 0"/></a>')],
  ['another type', 'upload:type', 'a.zip', 'application/zip', 'PK\x03\x04'],
  ['no type', 'upload:type', 'a.png', '', png],
  ['a picture that is another', 'upload:content', 'a.png', 'image/png', '\xff\xd8\xff\xe0'],
  ['a page as a picture', 'upload:content', 'a.png', 'image/png', '<html>'],
  ['a program as a picture', 'upload:content', 'a.png', 'image/png', 'MZ\x90'],
  ['an empty picture', 'upload:content', 'a.png', 'image/png', ''],
  ['a picture type that nobody knows', 'upload:content', 'a.xyz', 'image/xyz', 'x'],
  ['a program as a table', 'upload:content', 'a.csv', 'text/csv', '\x7fELF'],
  ['a script as a table', 'upload:content', 'a.csv', 'text/csv', '#!/bin/sh'],
  ['bytes as a table', 'upload:content', 'a.csv', 'text/csv', 'a\x00b'],
  ['a picture that is called a program', 'upload:name', 'a.php', 'image/png', png],
  ['a picture that is called a program before', 'upload:name', 'a.php.png', 'image/png', png],
  ['a picture that is called a program in capitals', 'upload:name', 'a.PhTml.png', 'image/png', png],
  ['a picture with the ending of another', 'upload:name', 'a.pdf', 'image/png', png],
  ['a picture without an ending', 'upload:name', 'a', 'image/png', png],
  ['a path', 'upload:name', '../a.png', 'image/png', png],
  ['a path of Windows', 'upload:name', 'c:\\a.png', 'image/png', png],
  ['a stream of a file', 'upload:name', 'a.php::$DATA.png', 'image/png', png],
  ['a hidden file', 'upload:name', '.htaccess', 'image/png', png],
  ['a dot at the end', 'upload:name', 'a.png.', 'image/png', png],
  ['no name', 'upload:name', '', 'image/png', png],
  ['PHP in a picture', 'upload:hidden', 'a.gif', 'image/gif', 'GIF89a<?php system($_GET[0]);'],
  ['a script in a picture', 'upload:hidden', 'a.gif', 'image/gif', 'GIF89a<script>alert(1)</script>'],
  ['a script in a drawing', 'upload:hidden', 'a.svg', 'image/svg+xml', svg('<script>x</script>')],
  ['a handler in a drawing', 'upload:hidden', 'a.svg', 'image/svg+xml', svg('<path onload="x()"/>')],
  [
    'a script link in a drawing',
    'upload:hidden',
    'a.svg',
    'image/svg+xml',
    svg('<a href="java&#10;script:x"/>'),
  ],
  ['a page in a drawing', 'upload:hidden', 'a.svg', 'image/svg+xml', svg('<foreignObject/>')],
  [
    'a drawing in a drawing',
    'upload:hidden',
    'a.svg',
    'image/svg+xml',
    svg('<use href="data:image/svg+xml,x"/>'),
  ],
  ['entities in a drawing', 'upload:content', 'a.svg', 'image/svg+xml', '<!DOCTYPE a []><svg/>'],
  ['too large', 'upload:size', 'a.png', 'image/png', png + 'x'.repeat(1_000)],
]

for (const [what, rule, name, type, bytes] of cases)
  test(`an upload: ${what}: ${rule}`, () => assert.equal(judge(name, type, bytes), rule))

test('pictures of all kinds are no drawings with scripts, which must be named', () => {
  const all = { ...uploads, types: ['image/*'] }
  assert.equal(judge('a.svg', 'image/svg+xml', svg(''), all), 'upload:type')
})

test('files are counted, and an input that was left empty is none', () => {
  const files = [1, 2, 3].map(() => ({
    field: 'f',
    name: 'a.png',
    type: 'image/png',
    from: 0,
    to: png.length,
  }))
  assert.equal(judgeUploads(files, png, uploads)?.rule, 'upload:count')
  const empty = { field: 'f', name: '', type: 'application/octet-stream', from: 0, to: 0 }
  assert.equal(judgeUploads([empty, empty, empty, empty], png, uploads), null)
  assert.equal(judgeUploads(files.slice(0, 1), png, { ...uploads, types: [] })?.rule, 'upload:type')
})
