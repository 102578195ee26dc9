const paths = [
  '/',
  '/index.html',
  '/api/items?page=3',
  '/api/items',
  '/login',
  '/images/logo.png',
  '/about',
  '/__proto__',
];

/** An access log that is the same for the same number of lines, some of them damaged. */
export function logText(lines: number): string {
  let state = 7;
  const below = (most: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
  let text = '';
  for (let number = 0; number < lines; number += 1) {
    if (below(100) === 0) {
      text += `a damaged line ${number}\n`;
      continue;
    }
    const hour = String(Math.min(23, below(14) + below(14))).padStart(2, '0');
    const path = paths[Math.min(below(paths.length), below(paths.length))]!;
    const status = path === '/login' && below(3) === 0 ? 401 : below(50) === 0 ? 500 : 200;
    text += `10.0.${below(4)}.${below(20)} - - [12/Mar/2026:${hour}:${String(below(60)).padStart(2, '0')}:00 +0000] "GET ${path} HTTP/1.1" ${status} ${below(5000)} "-" "example"\n`;
  }
  return text;
}

if (process.argv[1] === import.meta.filename) process.stdout.write(logText(Number(process.argv[2] ?? 20_000)));
