// Archives as other programs make them are unpacked whole, however their bytes are cut; hostile ones are refused.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { TarUnpacker } from './tar-unpack.ts'

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-tar-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function unpack(archive: Buffer, directory: string, cut: () => number): TarUnpacker {
  mkdirSync(directory)
  const unpacker = new TarUnpacker({ directory, owner: null })
  for (let at = 0; at < archive.length; ) {
    const to = at + cut()
    unpacker.push(archive.subarray(at, to))
    at = to
  }
  unpacker.end()
  return unpacker
}

test('an archive is unpacked whole, wherever its bytes are cut', t => {
  const folder = scratch(t)
  const source = join(folder, 'source')
  mkdirSync(join(source, 'empty'), { recursive: true })
  mkdirSync(join(source, 'base', '5'), { recursive: true })
  const files: Record<string, Buffer> = {
    none: Buffer.alloc(0),
    'base/one': Buffer.from('x'),
    'base/block': Buffer.alloc(512, 'b'),
    'base/5/more': Buffer.alloc(100_001, 'abc'),
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(source, name), content)
  symlinkSync('one', join(source, 'base', 'link'))
  const archive = execFileSync('tar', ['--format=ustar', '-C', source, '-cf', '-', '.'])
  const seed = randomInt(2 ** 32)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const cuts = [() => 1 << 20, () => 1 + random.below(700), () => 512, () => 1 + random.below(20_000)]
  for (const [at, cut] of cuts.entries()) {
    const target = join(folder, `target-${at}`)
    const unpacker = unpack(archive, target, cut)
    assert.equal(unpacker.files, 4)
    for (const [name, content] of Object.entries(files)) {
      assert.ok(readFileSync(join(target, name)).equals(content), name)
      assert.equal(statSync(join(target, name)).mode & 0o777, 0o600)
    }
    assert.equal(statSync(join(target, 'base', '5')).mode & 0o777, 0o700)
    assert.equal(readlinkSync(join(target, 'base', 'link')), 'one')
    assert.ok(lstatSync(join(target, 'empty')).isDirectory())
  }
})

/** A member's header with this name, kind and size. */
function header(name: string, kind: string, size: number): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write(kind, 156)
  block.write('ustar\x0000', 257)
  return block
}

test('names that lead outside, unknown members and cut archives are refused', t => {
  const folder = scratch(t)
  const refused = (archive: Buffer, says: RegExp): void => {
    const target = join(folder, 'target')
    assert.throws(() => unpack(archive, target, () => 1 << 20), says)
    rmSync(target, { recursive: true })
  }
  for (const name of ['../x', '/etc/x', 'a/../../x', '..'])
    refused(header(name, '0', 0), /outside its folder/)
  assert.ok(!existsSync(join(folder, 'x')))
  refused(header('device', '3', 0), /of kind '3'/)
  refused(Buffer.concat([header('file', '0', 100), Buffer.alloc(40)]), /ends 60 bytes before/)
})
