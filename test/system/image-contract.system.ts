import { before } from 'node:test';
import { buildImage } from '../helpers/image.ts';
import { contract } from '../integration/contract.ts';

before(() => buildImage());

contract('image');
