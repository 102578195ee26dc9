import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  blockIndex,
  createRecordScanner,
  cutByWeights,
  paddedBytes,
  recordIndexProblem,
  tarFiles,
  tarHeader,
} from '@foremesh/partitioner';
import fc from 'fast-check';

const long = `${'folder-'.repeat(9)}/${'inner-'.repeat(9)}/${'name-'.repeat(18)}.txt`;

function archive(files: Readonly<Record<string, string>>, end = true): Buffer {
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const content = Buffer.from(text);
    return [tarHeader(name, content.length), content, Buffer.alloc(paddedBytes(content.length) - content.length)];
  });
  return Buffer.concat(end ? [...parts, Buffer.alloc(1024)] : parts);
}

function listed(bytes: Uint8Array): [string, string][] {
  return Array.from(tarFiles(bytes), ({ name, start, sizeBytes }) => [
    name,
    Buffer.from(bytes.subarray(start, start + sizeBytes)).toString(),
  ]);
}

function scan(bytes: Uint8Array, pieces: readonly number[] = [], maxRecordBytes = 1e9) {
  const scanner = createRecordScanner('files', { maxRecordBytes });
  let at = 0;
  for (const piece of pieces) {
    scanner.push(bytes.subarray(at, at + piece));
    at += piece;
  }
  scanner.push(bytes.subarray(at));
  return scanner.finish();
}

describe('records: files of an archive', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'foremesh-tar-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const contents = { 'a.txt': 'first', 'photos/ä.jpg': 'second', empty: '', [long]: 'x'.repeat(1500) };

  it('are what tar itself reads', () => {
    const path = join(folder, 'ours.tar');
    writeFileSync(path, archive(contents));
    execFileSync('tar', ['-xf', path, '-C', folder]);
    for (const [name, text] of Object.entries(contents)) assert.equal(readFileSync(join(folder, name), 'utf8'), text);
  });

  for (const format of ['ustar', 'gnu', 'pax']) {
    it(`are read as tar --format=${format} wrote them, folders and links passed over`, () => {
      const source = join(folder, format);
      const deep = format === 'ustar' ? long : `${'d'.repeat(90)}/${'e'.repeat(190)}`;
      const files = { ...contents, [deep]: 'deep' };
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(source, name)), { recursive: true });
        writeFileSync(join(source, name), text);
      }
      execFileSync('ln', ['-s', 'a.txt', join(source, 'link')]);
      const names = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P\\0'], { cwd: source });
      const bytes = execFileSync('tar', [`--format=${format}`, '--no-recursion', '--null', '-cf', '-', '-T', '-'], {
        cwd: source,
        input: names,
      });
      assert.deepEqual(Object.fromEntries(listed(bytes)), files);
      const index = scan(bytes);
      assert.equal(index.totalRecords, Object.keys(files).length);
      // Every record is an archive of its own, with the headers that name it.
      const pieces = cutByWeights(index, Array(index.totalRecords).fill(1));
      const apart = pieces.map(({ start, end }) => listed(bytes.subarray(start, end)));
      assert.deepEqual(
        apart.map(({ length }) => length),
        Array(index.totalRecords).fill(1),
      );
      assert.deepEqual(apart.flat(), listed(bytes));
    });
  }

  it('are found however the bytes come, and any cut loses and doubles none', () => {
    const texts = fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), fc.string({ maxLength: 1200 }), { maxKeys: 9 });
    const property = fc.property(
      texts,
      fc.array(fc.nat(700)),
      fc.array(fc.nat(9), { minLength: 1 }),
      (files, cuts, weights) => {
        const bytes = archive(files);
        const index = scan(bytes, cuts);
        assert.equal(recordIndexProblem(index), undefined);
        assert.deepEqual(index, scan(bytes));
        const pieces = cutByWeights(index, [...weights, 1]);
        assert.deepEqual(
          pieces.flatMap(({ start, end }) => listed(bytes.subarray(start, end))),
          Object.entries(files),
        );
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  it('end at the block of zeros, or with the bytes', () => {
    assert.deepEqual(listed(archive(contents, false)), Object.entries(contents));
    assert.equal(scan(Buffer.concat([archive(contents), Buffer.from('rubbish')])).totalRecords, 4);
    assert.equal(scan(new Uint8Array()).totalRecords, 0);
    assert.equal(scan(Buffer.alloc(10_240)).totalRecords, 0);
  });

  it('say where an archive is damaged, and which file is too large', () => {
    const bytes = archive(contents);
    assert.throws(() => scan(bytes.subarray(0, 700)), /byte 700: the archive ends within a file/);
    assert.throws(() => scan(Buffer.from('x'.repeat(512))), /byte 0: expected a file of a tar archive/);
    bytes[1024] = 1; // the second header
    assert.throws(() => scan(bytes), /byte 1024: expected a file/);
    assert.throws(() => scan(archive(contents), [], 1000), /the file folder-.* has more than 1000 bytes/);
  });

  it('have names that fit, or say so', () => {
    assert.throws(() => tarHeader('n'.repeat(101), 0), /too long for tar/);
    assert.throws(() => tarHeader('', 0), /needs a name/);
    assert.deepEqual(listed(archive({ [`${'p'.repeat(155)}/${'n'.repeat(100)}`]: '' }))[0]![0].length, 256);
  });

  it('by bytes are blocks of one size, the last one shorter', () => {
    const index = blockIndex(2_500, 1_000);
    assert.deepEqual(
      cutByWeights(index, [1, 1, 1]).map(({ start, end }) => [start, end]),
      [
        [0, 1_000],
        [1_000, 2_000],
        [2_000, 2_500],
      ],
    );
    assert.equal(blockIndex(0, 7).totalRecords, 0);
    assert.throws(() => blockIndex(1, 0), /not a size/);
  });
});
