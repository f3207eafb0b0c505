// A real DNS server for tests: UDP on 127.0.0.1, records set while it runs. It answers one question a packet
// (RFC 1035 section 4), knows A, AAAA, PTR and SRV (RFC 2782), and can be told to fail or to be silent.

import { createSocket } from 'node:dgram'

export interface ServiceData {
  readonly priority: number
  readonly weight: number
  readonly port: number
  /** Empty: the root, `.`. */
  readonly target: string
}
export type ZoneRecord =
  | { readonly type: 'A'; readonly data: string; readonly ttl: number }
  | { readonly type: 'AAAA'; readonly data: string; readonly ttl: number }
  | { readonly type: 'PTR'; readonly data: string; readonly ttl: number }
  | { readonly type: 'SRV'; readonly data: ServiceData; readonly ttl: number }

export interface NameServer {
  /** `127.0.0.1:PORT` */
  readonly address: string
  /** A name that is not in it does not exist. */
  readonly zone: Map<string, readonly ZoneRecord[]>
  behave(how: 'answer' | 'fail' | 'silent'): void
  close(): Promise<void>
}

const typeNumbers = { A: 1, PTR: 12, AAAA: 28, SRV: 33 }
const headerBytes = 12
const noError = 0
const serverFailure = 2
const nameError = 3

export async function startNameServer(): Promise<NameServer> {
  const zone = new Map<string, readonly ZoneRecord[]>()
  let how: 'answer' | 'fail' | 'silent' = 'answer'
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => {
    if (how !== 'silent') socket.send(reply(query, zone, how === 'fail'), from.port, from.address)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${socket.address().port}`,
    zone,
    behave: next => {
      how = next
    },
    close: () => new Promise(resolve => socket.close(() => resolve())),
  }
}

function reply(query: Buffer, zone: ReadonlyMap<string, readonly ZoneRecord[]>, fail: boolean): Buffer {
  const { name, type, end } = question(query)
  const records = zone.get(name.toLowerCase())
  const found = fail ? [] : (records ?? []).filter(record => typeNumbers[record.type] === type)
  const header = Buffer.alloc(headerBytes)
  query.copy(header, 0, 0, 2)
  const code = fail ? serverFailure : records === undefined ? nameError : noError
  // QR and RD and RA; the question is sent back, then the answers.
  header.writeUInt16BE(0x8180 | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(found.length, 6)
  return Buffer.concat([header, query.subarray(headerBytes, end), ...found.map(answer)])
}

function question(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = headerBytes
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function answer(record: ZoneRecord): Buffer {
  const data = dataOf(record)
  const head = Buffer.alloc(12)
  // A pointer to the question's name.
  head.writeUInt16BE(0xc000 | headerBytes, 0)
  head.writeUInt16BE(typeNumbers[record.type], 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(record.ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function dataOf(record: ZoneRecord): Buffer {
  if (record.type === 'A') return Buffer.from(record.data.split('.').map(Number))
  if (record.type === 'AAAA') return sixteenBytes(record.data)
  if (record.type === 'PTR') return nameBytes(record.data)
  const { priority, weight, port, target } = record.data
  const head = Buffer.alloc(6)
  for (const [index, value] of [priority, weight, port].entries()) head.writeUInt16BE(value, index * 2)
  return Buffer.concat([head, nameBytes(target)])
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').filter(label => label !== '')
  return Buffer.concat([
    ...labels.map(label => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.alloc(1),
  ])
}

function sixteenBytes(address: string): Buffer {
  const [front = '', back = ''] = address.split('::')
  const words = (text: string): number[] =>
    text
      .split(':')
      .filter(Boolean)
      .map(word => Number.parseInt(word, 16))
  const [first, last] = [words(front), words(back)]
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
  const bytes = Buffer.alloc(16)
  for (const [index, word] of all.entries()) bytes.writeUInt16BE(word, index * 2)
  return bytes
}
