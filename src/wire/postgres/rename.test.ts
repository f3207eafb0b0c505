import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  BindView,
  bindMessage,
  closeMessage,
  describeMessage,
  ParseView,
  parseMessage,
  parseOfTail,
  parseTail,
  readBind,
  readParse,
  readTarget,
  renamed,
  renamedBind,
  renamedParse,
  statementTarget,
  TargetView,
} from './index.ts'

const name = fc.string({ unit: 'grapheme', maxLength: 70 }).filter(text => !text.includes('\0'))

test('a renamed message is the one that would have been written under the other name', () => {
  fc.assert(
    fc.property(name, name, name, fc.nat(9), (from, to, sql, before) => {
      const other = Buffer.from(to)
      const inside = (frame: Buffer): [Buffer, number, number] => {
        const bytes = Buffer.concat([Buffer.alloc(before), frame, Buffer.from('next')])
        return [bytes, before, before + frame.length]
      }
      const parse = new ParseView()
      const [parsed, parseAt, parseEnd] = inside(parseMessage(from, sql, [23]))
      readParse(parsed, parseAt + 5, parseEnd, parse)
      assert.deepEqual(renamedParse(parsed, parseAt, parseEnd, parse, other), parseMessage(to, sql, [23]))
      assert.deepEqual(parseOfTail(other, parseTail(parsed, parseEnd, parse)), parseMessage(to, sql, [23]))
      const bind = new BindView()
      const [bound, bindAt, bindEnd] = inside(bindMessage(sql, from, ['x', null]))
      readBind(bound, bindAt + 5, bindEnd, bind)
      assert.deepEqual(renamedBind(bound, bindAt, bindEnd, bind, other), bindMessage(sql, to, ['x', null]))
      const target = new TargetView()
      for (const write of [describeMessage, closeMessage]) {
        const [bytes, at, end] = inside(write(statementTarget, from))
        readTarget(bytes, at + 5, end, target)
        const changed = renamed(bytes, at, end, target.nameFrom, target.nameTo, other)
        assert.deepEqual(changed, write(statementTarget, to))
      }
    }),
    { numRuns: 300 },
  )
})
