// Each transformation against vectors of ModSecurity's own test collection and manual; bytes are written as characters.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { traitsOf, transformations, transformText } from './index.ts'

const vectors: Readonly<Record<string, readonly (readonly [input: string, output: string])[]>> = {
  base64Decode: [
    ['VGVzdABDYXNl', 'Test\0Case'],
    ['VGVzdENhc2U=', 'TestCase'],
    ['PFR=FSFRFT', '<T'],
  ],
  base64DecodeExt: [['V.G.V.z.dENhc2U=', 'TestCase']],
  base64Encode: [['Test\0Case', 'VGVzdABDYXNl']],
  cmdLine: [
    ['C^OMMAND /C DIR', 'command/c dir'],
    ['"command" /c DIR', 'command/c dir'],
    ['c\\o\'m"mand,;  (x', 'command(x'],
    ['cat\t\n/etc', 'cat/etc'],
  ],
  compressWhitespace: [
    ['a \t\r\n b', 'a b'],
    ['a\xa0b', 'a b'],
    ['', ''],
  ],
  cssDecode: [
    ['ja\\vascript', 'javascript'],
    ['\\6a\\61 vascript', 'javascript'],
    ['\\00006a x', 'jx'],
    ['\\ff01', '!'],
    ['a\\\nb', 'ab'],
    ['test\\', 'test'],
  ],
  escapeSeqDecode: [
    ['\\n\\x41\\101\\\\', '\nAA\\'],
    ['\\8\\x', '8x'],
    ['a\\', 'a\\'],
  ],
  hexDecode: [['546573740043617365', 'Test\0Case']],
  hexEncode: [['Test\0Case', '546573740043617365']],
  htmlEntityDecode: [
    ['&lt;&gt;&amp;&quot;&nbsp;', '<>&"\xa0'],
    ['&#x3c&#60;&#X3C;', '<<<'],
    ['&foo;&#xg;&', '&foo;&#xg;&'],
    ['&colon;&lpar;&Tab;&NewLine;', ':(\t\n'],
  ],
  jsDecode: [
    ['\\x3cscript\\u003e', '<script>'],
    ['\\074\\76', '<>'],
    ['\\uff1cx', '<x'],
    ['\\a\\n\\q\\', '\x07\nq\\'],
    ['\\666', '\x366'],
  ],
  length: [
    ['Test\0Case', '9'],
    ['', '0'],
  ],
  lowercase: [['TeSt\xc0', 'test\xc0']],
  md5: [['', Buffer.from('d41d8cd98f00b204e9800998ecf8427e', 'hex').latin1Slice()]],
  normalizePath: [
    ['/foo/bar/../baz', '/foo/baz'],
    ['/foo//bar/./baz/', '/foo/bar/baz/'],
    ['./../', '../'],
    ['dir/subdir/../../..', '..'],
    ['dir/./.././../../foo/bar/.', '../../foo/bar'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['..', '..'],
    ['', ''],
  ],
  normalizePathWin: [
    ['..\\..\\windows', '../../windows'],
    ['\\foo\\.\\bar', '/foo/bar'],
  ],
  removeComments: [
    ['a/* x */b', 'ab'],
    ['a<!-- x -->b', 'ab'],
    ['a--b', 'a'],
    ['a#b', 'a'],
    ['a/* x', 'a '],
  ],
  removeCommentsChar: [['a/*b*/c--d#e<!--f-->', 'abcdef']],
  removeNulls: [['a\0b\0', 'ab']],
  removeWhitespace: [[' a \t b\xa0', 'ab']],
  replaceComments: [
    ['a/* x */b', 'a b'],
    ['a/* x', 'a '],
    ['a*/b', 'a*/b'],
  ],
  replaceNulls: [['a\0b', 'a b']],
  sha1: [['', Buffer.from('da39a3ee5e6b4b0d3255bfef95601890afd80709', 'hex').latin1Slice()]],
  sqlHexDecode: [
    ['x 0x414243 y', 'x ABC y'],
    ['0x4', '0x4'],
  ],
  trim: [[' a b \n', 'a b']],
  trimLeft: [[' a ', 'a ']],
  trimRight: [[' a ', ' a']],
  uppercase: [['TeSt\xe0', 'TEST\xe0']],
  urlDecode: [
    ['a+b%20%41%zz%4', 'a b A%zz%4'],
    ['%u0041', '%u0041'],
  ],
  urlDecodeUni: [
    ['a+b%20%41%zz%4', 'a b A%zz%4'],
    ['%u0041%uff1c%u003c', 'A<<'],
    ['%u00', '%u00'],
    ['%%41', '%A'],
    ['%2541', '%41'],
  ],
  urlEncode: [['a b&', 'a+b%26']],
  utf8toUnicode: [
    ['a\xc3\xa4b', 'a%u00e4b'],
    ['\xc0\xbcscript', '%u003cscript'],
    ['\xef\xbc\x9c', '%uff1c'],
    ['\xff\xc3', '\xff\xc3'],
  ],
}

for (const [name, cases] of Object.entries(vectors)) {
  test(`${name} makes of each text what rule sets expect`, () => {
    for (const [input, output] of cases) {
      assert.equal(transformText(transformations[name.toLowerCase()]!, input), output, JSON.stringify(input))
    }
  })
}

test('every transformation has vectors, under each of its spellings', () => {
  const known = new Set(Object.keys(vectors).map(name => name.toLowerCase()))
  const spelled = Object.keys(transformations).map(name => name.replace('normalise', 'normalize'))
  assert.deepEqual(
    spelled.filter(name => !known.has(name)),
    [],
  )
})

test('long texts of one kind of byte are transformed whole, whatever the bytes', () => {
  for (const [name, transformation] of Object.entries(transformations)) {
    for (const unit of ['%', '\\', '&', '/*', '../', ' ', '\0', '\xc3', '&#', '%u', '0x', '--', '<!--']) {
      assert.equal(typeof transformText(transformation, unit.repeat(8192)), 'string', `${name} of ${unit}`)
    }
  }
})

test('a text without any of the traits that a transformation needs stays as it is', () => {
  for (const [name, transformation] of Object.entries(transformations)) {
    if (transformation.needs === 0) continue
    for (let byte = 0; byte < 256; byte += 1) {
      for (const around of ['', 'x', '1']) {
        const text = `${around}${String.fromCharCode(byte).repeat(2)}${around}`
        const bytes = Buffer.from(text, 'latin1')
        if ((traitsOf(bytes, bytes.length) & transformation.needs) !== 0) continue
        assert.equal(transformText(transformation, text), text, `${name} of ${byte}`)
      }
    }
  }
})
