// The slot of a key in a Redis Cluster: CRC16 (XMODEM) of the key, or of what stands in its first braces, modulo 16,384
// (Redis Cluster specification, "Key distribution model"). Pure.

export const slotCount = 16_384

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

export function slotOf(key: string): number {
  const bytes = Buffer.from(key)
  const open = bytes.indexOf(0x7b)
  const close = open < 0 ? -1 : bytes.indexOf(0x7d, open + 1)
  const tagged = close > open + 1
  let crc = 0
  for (let i = tagged ? open + 1 : 0; i < (tagged ? close : bytes.length); i++) {
    crc = ((crc << 8) ^ table[((crc >>> 8) ^ bytes[i]!) & 0xff]!) & 0xffff
  }
  return crc & (slotCount - 1)
}
