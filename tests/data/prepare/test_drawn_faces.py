"""Drawn faces: frames of one face are alike, and never the same."""

import numpy as np

from ssrl_brain.data.prepare import drawn_faces


def test_a_face_is_known_by_its_traits_and_never_twice_the_same():
    def frames(seed, number=2):
        rng = np.random.default_rng(seed)
        face, session = (
            drawn_faces.draw_face(rng),
            drawn_faces.draw_session(rng),
        )
        return [
            np.asarray(drawn_faces.draw_frame(rng, face, session))
            for _ in range(number)
        ]

    one, other = frames(0)
    assert one.shape == (112, 96, 3) and not np.array_equal(one, other)
    assert np.array_equal(frames(0)[1], other)
    assert not np.array_equal(frames(1)[0], one)
