// Content-Type by the ending of a file's name. Text is UTF-8; what is not known is bytes. Never looks into a file.

const text =
  'text/html htm html; text/css css; text/javascript js mjs cjs; text/plain txt text log conf ini env diff patch'
const documents =
  'text/csv csv; text/markdown md markdown; text/calendar ics; text/vcard vcf; text/xml xsl; text/vtt vtt'
const code =
  'text/x-component htc; text/tab-separated-values tsv; text/cache-manifest appcache; text/yaml yaml yml'
const data =
  'application/json json map topojson; application/ld+json jsonld; application/geo+json geojson; application/manifest+json webmanifest; application/xml xml; application/xhtml+xml xhtml; application/rss+xml rss; application/atom+xml atom; application/wasm wasm; application/toml toml; application/x-ndjson ndjson jsonl; application/graphql-response+json gqlr; application/sql sql; application/vnd.apple.mpegurl m3u8; application/dash+xml mpd'
const packed =
  'application/pdf pdf; application/zip zip; application/gzip gz tgz; application/x-tar tar; application/zstd zst; application/x-7z-compressed 7z; application/vnd.rar rar; application/x-bzip2 bz2; application/x-xz xz; application/java-archive jar war; application/vnd.android.package-archive apk; application/epub+zip epub; application/x-brotli br'
const office =
  'application/rtf rtf; application/msword doc; application/vnd.ms-excel xls; application/vnd.ms-powerpoint ppt; application/vnd.openxmlformats-officedocument.wordprocessingml.document docx; application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx; application/vnd.openxmlformats-officedocument.presentationml.presentation pptx; application/vnd.oasis.opendocument.text odt; application/vnd.oasis.opendocument.spreadsheet ods; application/postscript ps eps ai'
const programs =
  'application/octet-stream bin exe dll deb rpm dmg iso img msi pak parquet arrow; application/pgp-signature asc sig; application/x-x509-ca-cert crt pem der; application/vnd.sqlite3 sqlite db; application/x-protobuf pb'
const images =
  'image/png png; image/jpeg jpg jpeg jfif; image/gif gif; image/webp webp; image/avif avif; image/svg+xml svg; image/x-icon ico; image/bmp bmp; image/tiff tif tiff; image/apng apng; image/jxl jxl; image/heic heic; image/heif heif; image/vnd.adobe.photoshop psd'
const fonts =
  'font/woff woff; font/woff2 woff2; font/ttf ttf; font/otf otf; font/collection ttc; application/vnd.ms-fontobject eot'
const media =
  'audio/mpeg mp3; audio/ogg ogg oga opus; audio/wav wav; audio/aac aac; audio/flac flac; audio/mp4 m4a; audio/midi mid midi; audio/webm weba; video/mp4 mp4 m4v; video/webm webm; video/ogg ogv; video/mp2t ts m2ts; video/quicktime mov; video/x-msvideo avi; video/x-matroska mkv; video/mpeg mpg mpeg; video/3gpp 3gp'
const models = 'model/gltf+json gltf; model/gltf-binary glb; model/stl stl; model/obj obj'

const byEnding = new Map<string, string>(
  [text, documents, code, data, packed, office, programs, images, fonts, media, models]
    .join('; ')
    .split('; ')
    .flatMap(line => {
      const [type = '', ...endings] = line.split(' ')
      const full = type.startsWith('text/') ? `${type}; charset=utf-8` : type
      return endings.map((ending): [string, string] => [ending, full])
    }),
)

export const knownEndings: number = byEnding.size

/** The ending after the last dot of the name, lower case; '' when there is none. */
export function endingOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.lastIndexOf('.')
  return dot <= 0 ? '' : name.slice(dot + 1).toLowerCase()
}

export function typeOf(path: string): string {
  return byEnding.get(endingOf(path)) ?? 'application/octet-stream'
}

const packable =
  /^text\/|\+xml$|\+json$|\/(?:json|xml|wasm|toml|x-ndjson|sql|rtf|postscript|vnd\.apple\.mpegurl|vnd\.ms-fontobject|x-icon|bmp)$|^font\/(?:ttf|otf|collection)$|^model\/(?:stl|obj)$|^image\/x-icon$/

/** Is it worth looking for packed files beside one of this type? Pictures, films and archives are packed already. */
export function isPackable(type: string): boolean {
  return packable.test(type.replace(/;.*$/, ''))
}
