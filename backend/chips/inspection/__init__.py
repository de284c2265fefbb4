# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in a folder of chips: counts, pictures, what is suspicious, footprints to strike chips out."""
